/**
 * $1 keys, $2 job ids, $3 the name of this call, $4 whether it is fenced, $5, $6, $7 org id, load name and epoch.
 *
 * A row each for the keys that are now ours to call, with what was known before. A key that this same call has begun already
 * (its answer was lost) is ours again; what it was before then shows in `calls`.
 */
export const BEGIN_RETRIES = `
  WITH fence AS (
    SELECT FROM sf_sync_load
    WHERE $4::boolean AND org_id = $5 AND load_name = $6 AND epoch = $7::bigint FOR SHARE
  ), open AS (
    SELECT 1 WHERE NOT $4::boolean OR EXISTS (SELECT FROM fence)
  ), asked AS (
    SELECT key, job_id FROM unnest($1::text[], $2::text[]) AS a (key, job_id), open
  ), before AS MATERIALIZED (
    SELECT r.* FROM sf_sync_retry AS r JOIN asked USING (key)
  ), begun AS (
    INSERT INTO sf_sync_retry AS r (key, job_id, call_id)
    SELECT key, job_id, $3::uuid FROM asked ORDER BY key
    ON CONFLICT (key) DO UPDATE
      SET state = 'calling', job_id = excluded.job_id, sf_id = NULL, call_id = excluded.call_id,
          calls = r.calls + (r.state = 'failed')::int, called_at = clock_timestamp()
      WHERE r.state = 'failed' OR (r.state = 'calling' AND r.call_id = excluded.call_id)
    RETURNING r.key, r.calls
  )
  SELECT (SELECT count(*) FROM open) > 0 AS current, begun.key, begun.calls,
         before.key IS NOT NULL AS was_known, before.job_id, before.state, before.sf_id, before.attempts, before.called_at
  FROM (SELECT) AS always LEFT JOIN begun ON true LEFT JOIN before ON before.key = begun.key`;

export const FIND_RETRIES = `
  SELECT key, job_id, state, sf_id, attempts, called_at FROM sf_sync_retry WHERE key = ANY ($1::text[])`;

/** Reads the whole table, since an index would cost every retry something: asked only for what a look-up in doubt finds. */
export const FIND_RETRIES_OF_RECORDS = `
  SELECT key, job_id, state, sf_id, attempts, called_at FROM sf_sync_retry WHERE sf_id = ANY ($1::text[])`;

/**
 * $1 keys, $2 states, $3 Salesforce ids, $4 attempts as JSON, $5, $6 org id and load name, $7 the hold's epoch; gives the
 * load's epoch. Whoever raises the epoch meanwhile waits for this statement and sees what it wrote, or is seen by it.
 */
export const END_RETRIES = `
  WITH now AS (
    SELECT epoch FROM sf_sync_load WHERE org_id = $5::text AND load_name = $6::text FOR SHARE
  ), ended AS (
    UPDATE sf_sync_retry AS r SET state = e.state, sf_id = e.sf_id, attempts = e.attempts::json
    FROM (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (key, state, sf_id, attempts)
          ORDER BY key) AS e
    WHERE r.key = e.key AND CASE r.state
      WHEN 'calling' THEN e.state <> 'failed' OR $7::bigint IS NULL OR $7::bigint = (SELECT epoch FROM now)
      WHEN 'failed' THEN e.state = 'succeeded'
      ELSE false
    END
  )
  SELECT (SELECT epoch FROM now) AS epoch`;
