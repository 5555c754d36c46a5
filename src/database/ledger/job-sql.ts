import { FENCE } from './run-sql.ts';

const JOB = `job, run_id, org_id, load_name, state, carried, claim_ids, claim_parts, given_back, parked_reason, receipt,
  abandoned_by, reason`;

/** One row: `current` (the epoch is still the hold's), `added`, and the run that the job id was known with before. */
export const ADD_JOB = `
  WITH ${FENCE}, added AS (
    INSERT INTO sf_sync_job (org_id, load_name, job_id, run_id, file_index, job, carried, claim_parts, claim_ids)
    SELECT $1, $2, $4, $5, $6::integer, $7::json, $8::json, $9::json, $10::text[] FROM fence
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id
  )
  SELECT EXISTS (SELECT FROM fence) AS current, EXISTS (SELECT FROM added) AS added,
         (SELECT run_id FROM sf_sync_job WHERE job_id = $4) AS known_run`;

/** A job that is closing already was marked by the same statement, whose answer was lost. */
export const MARK_CLOSING = `
  WITH ${FENCE}
  UPDATE sf_sync_job SET state = 'closing', changed_at = clock_timestamp()
  FROM fence
  WHERE job_id = $4 AND state IN ('open', 'closing')
  RETURNING job_id`;

/** `$1` is the job id in all that follow. A job in any other state is left alone. */
const UNSETTLED = `state IN ('closing', 'closed')`;

export const MARK_CLOSED = `
  UPDATE sf_sync_job SET state = 'closed', job = $2, changed_at = clock_timestamp()
  WHERE job_id = $1 AND ${UNSETTLED}`;

export const DISCARD_JOB = `
  UPDATE sf_sync_job SET state = 'discarded', reason = $2, changed_at = clock_timestamp()
  WHERE job_id = $1 AND state = 'open'`;

/** $2 null: it is carried on again. */
export const PARK_JOB = `
  UPDATE sf_sync_job SET parked_reason = $2, changed_at = clock_timestamp()
  WHERE job_id = $1 AND ${UNSETTLED}`;

export const SETTLE_JOB = `
  UPDATE sf_sync_job
  SET state = 'settled', job = $2, receipt = $3, parked_reason = NULL, changed_at = clock_timestamp()
  WHERE job_id = $1 AND ${UNSETTLED}`;

/** Repeated by the same person for the same reason it says the same again. */
export const ABANDON_JOB = `
  UPDATE sf_sync_job
  SET state = 'abandoned', abandoned_by = $2, reason = $3, receipt = $4::json, parked_reason = NULL, changed_at = clock_timestamp()
  WHERE job_id = $1 AND (state IN ('open', 'closing', 'closed')
                         OR (state = 'abandoned' AND abandoned_by = $2 AND reason = $3))
  RETURNING job_id`;

export const NOTE_GIVEN_BACK = `
  UPDATE sf_sync_job SET given_back = coalesce(given_back, $2::json) WHERE job_id = $1 RETURNING given_back`;

export const FIND_JOB = `SELECT ${JOB} FROM sf_sync_job WHERE job_id = $1`;

export const JOBS_OF_RUN = `SELECT ${JOB} FROM sf_sync_job WHERE run_id = $1 ORDER BY number`;

export const UNSETTLED_JOBS = `
  SELECT ${JOB} FROM sf_sync_job WHERE org_id = $1 AND load_name = $2 AND ${UNSETTLED} ORDER BY number`;

export const JOBS_OF_CLAIM = `
  SELECT j.run_id, j.file_index, j.state, j.claim_parts, r.state AS run_state
  FROM sf_sync_job AS j JOIN sf_sync_run AS r USING (run_id)
  WHERE j.claim_ids @> ARRAY[$1::text] AND j.claim_ids <> '{}'`;
