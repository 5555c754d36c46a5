/**
 * Statements on runs. `$1`, `$2`, `$3` are org id, load name and epoch of the hold. A fenced statement locks the load's row
 * (FOR SHARE) where the epoch is still the hold's: whoever raises the epoch waits for it, and sees what it wrote; one that
 * comes later finds no row and writes nothing.
 */
export const FENCE = `
  fence AS (
    SELECT FROM sf_sync_load WHERE org_id = $1 AND load_name = $2 AND epoch = $3 FOR SHARE
  )`;

const RUN = `run_id, org_id, load_name, state, started_at, ended_at, received, rejected, complete, api_calls, receipt`;

export const BEGIN_RUN = `
  WITH ${FENCE}
  INSERT INTO sf_sync_run (run_id, org_id, load_name)
  SELECT $4, $1, $2 FROM fence
  ON CONFLICT (run_id) DO UPDATE SET run_id = excluded.run_id
  RETURNING ${RUN}`;

export const RUN_LOADED = `
  WITH ${FENCE}, changed AS (
    UPDATE sf_sync_run SET state = 'loaded', received = $5, rejected = $6, complete = $7
    FROM fence WHERE run_id = $4 AND state = 'loading'
  )
  SELECT FROM fence`;

/**
 * The load's row is updated, so this needs no lock beside. A run that has ended stays as it is. $6: it received records, so
 * that rows which were read before its end are stale.
 */
export const END_RUN = `
  WITH fence AS (
    UPDATE sf_sync_load SET last_run_ended_at =
      CASE WHEN $6::boolean AND EXISTS (SELECT FROM sf_sync_run WHERE run_id = $4 AND state <> 'ended')
           THEN clock_timestamp() ELSE last_run_ended_at END
    WHERE org_id = $1 AND load_name = $2 AND epoch = $3
    RETURNING CASE WHEN $6::boolean THEN last_run_ended_at ELSE clock_timestamp() END AS now
  ), changed AS (
    UPDATE sf_sync_run SET state = 'ended', ended_at = now, receipt = $5
    FROM fence WHERE run_id = $4 AND state <> 'ended'
  )
  SELECT FROM fence`;

/** $3 names this addition: when the statement is repeated after a lost answer, it adds nothing. */
export const ADD_API_CALLS = `
  UPDATE sf_sync_run SET api_calls = api_calls + $2, last_addition = $3
  WHERE run_id = $1 AND last_addition IS DISTINCT FROM $3`;

export const UNFINISHED_RUNS = `
  SELECT ${RUN} FROM sf_sync_run WHERE org_id = $1 AND load_name = $2 AND state <> 'ended' ORDER BY number`;

export const FIND_RUN = `SELECT ${RUN} FROM sf_sync_run WHERE run_id = $1`;

export const LAST_RUN_ENDED_AT = `
  SELECT last_run_ended_at FROM sf_sync_load
  WHERE org_id = $1 AND load_name = $2 AND last_run_ended_at IS NOT NULL`;

/** Its jobs go with it. */
export const PRUNE_RUNS = `
  DELETE FROM sf_sync_run
  WHERE org_id = $1 AND load_name = $2 AND state = 'ended' AND ended_at < clock_timestamp() - $3 * interval '1 day'
  RETURNING run_id`;

export const PRUNE_RETRIES = `
  DELETE FROM sf_sync_retry AS r
  WHERE called_at < clock_timestamp() - $1 * interval '1 day'
    AND NOT EXISTS (SELECT FROM sf_sync_job AS j WHERE j.job_id = r.job_id)`;

export const LOADING_RUNS = `SELECT run_id FROM sf_sync_run WHERE state = 'loading' LIMIT 1`;
