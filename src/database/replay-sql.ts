import { IS_ANOTHERS_LIVE_CLAIM } from './claim-owner.ts';

/**
 * Statements of a replay. `changed_by` and `changed_at` are left to whoever mended a letter. `$1` category, `$2` error code, `$3` job id (null: any), `$4` the newest letter there was when it
 * began. A message that a Catch node sent belongs to no object and is not replayed.
 */
const WANTED = `
  status = 'dead' AND object IS NOT NULL AND operation IS NOT NULL AND jsonb_typeof(record_data) = 'object'
  AND ($1::text IS NULL OR error_category = $1) AND ($2::text IS NULL OR error_code = $2)
  AND ($3::text IS NULL OR job_id = $3) AND id <= $4::bigint`;

/** Beside the fields that every attempt has, the claim by which the record was sent again. */
const ATTEMPT = `
  jsonb_build_object(
    'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'via', 'replay', 'errorCode', '', 'errorMessage', '', 'claimId', claim_id)`;

export const newest = (table: string): string => `SELECT coalesce(max(id), 0) AS newest FROM ${table}`;

export const groups = (table: string): string => `
  SELECT DISTINCT object, operation, external_id_field FROM ${table} WHERE ${WANTED}
  ORDER BY object, operation, external_id_field`;

/** $5 object, $6 operation, $7 external id field, $8 the last id that was claimed, $9 how many, $10 the claim. */
export const claim = (table: string): string => `
  WITH picked AS (
    SELECT id FROM ${table}
    WHERE ${WANTED} AND object = $5 AND operation = $6 AND external_id_field IS NOT DISTINCT FROM $7 AND id > $8::bigint
    ORDER BY id LIMIT $9::bigint
    FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE ${table} AS t SET status = 'replaying', claim_id = $10
    FROM picked WHERE t.id = picked.id
    RETURNING t.id, t.record_data
  )
  SELECT id, record_data FROM claimed ORDER BY id`;

export const claimed = (table: string): string => `
  SELECT id, record_data FROM ${table} WHERE claim_id = $1 AND status = 'replaying' ORDER BY id`;

/** The claim stays on the letter, for whoever looks into what was sent together. */
export const settle = (table: string): string => `
  UPDATE ${table} SET status = 'replayed', attempts = attempts || ${ATTEMPT}
  WHERE claim_id = $1 AND status = 'replaying'`;

/** $2 and $3: ranges of letters, from the first up to but without the second (null: all behind). */
export const settlePart = (table: string): string => `${settle(table)} AND EXISTS (
    SELECT FROM unnest($2::bigint[], $3::bigint[]) AS loaded (first, past)
    WHERE id >= first AND (past IS NULL OR id < past))`;

export const release = (table: string): string => `
  UPDATE ${table} SET status = 'dead', claim_id = NULL
  WHERE claim_id = $1 AND status = 'replaying'`;

/** $2: ids of letters. */
export const giveBack = (table: string): string => `${release(table)} AND id = ANY ($2::bigint[])`;

/** $1: the owner who asks. */
export const openClaims = (table: string): string => `
  SELECT claim_id FROM ${table} WHERE status = 'replaying' AND claim_id IS NOT NULL
  GROUP BY claim_id HAVING NOT (${IS_ANOTHERS_LIVE_CLAIM})
  ORDER BY min(id)`;
