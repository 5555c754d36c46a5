-- The ledger: what must outlive a process (loads, their runs, the jobs and the single retries).

-- The epoch is raised by whoever takes the load's lock: statements that carry an older one are refused.
CREATE TABLE sf_sync_load (
  org_id text NOT NULL,
  load_name text NOT NULL,
  epoch bigint NOT NULL DEFAULT 1,
  last_run_ended_at timestamptz,
  PRIMARY KEY (org_id, load_name)
);

CREATE TABLE sf_sync_run (
  run_id text PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,
  org_id text NOT NULL,
  load_name text NOT NULL,
  state text NOT NULL DEFAULT 'loading' CHECK (state IN ('loading', 'loaded', 'ended')),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  received bigint NOT NULL DEFAULT 0,
  rejected bigint NOT NULL DEFAULT 0,
  complete boolean NOT NULL DEFAULT false,
  api_calls bigint NOT NULL DEFAULT 0,
  last_addition uuid,
  receipt json,
  FOREIGN KEY (org_id, load_name) REFERENCES sf_sync_load
);
CREATE INDEX sf_sync_run_of_load ON sf_sync_run (org_id, load_name, state);

-- json, not jsonb: a carried message may hold \u0000, which jsonb refuses, and nothing searches in it.
CREATE TABLE sf_sync_job (
  job_id text PRIMARY KEY,
  number bigint GENERATED ALWAYS AS IDENTITY,
  run_id text NOT NULL REFERENCES sf_sync_run ON DELETE CASCADE,
  org_id text NOT NULL,
  load_name text NOT NULL,
  file_index integer NOT NULL,
  state text NOT NULL DEFAULT 'open'
    CHECK (state IN ('open', 'closing', 'closed', 'settled', 'discarded', 'abandoned')),
  job json NOT NULL,
  carried json NOT NULL,
  claim_ids text[] NOT NULL DEFAULT '{}',
  claim_parts json NOT NULL DEFAULT '[]',
  parked_reason text,
  receipt json,
  abandoned_by text,
  reason text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX sf_sync_job_of_run ON sf_sync_job (run_id);
CREATE INDEX sf_sync_job_unsettled ON sf_sync_job (org_id, load_name) WHERE state IN ('closing', 'closed');
CREATE INDEX sf_sync_job_claims ON sf_sync_job USING gin (claim_ids) WHERE claim_ids <> '{}';

-- Single retries, by the failure's key. `call_id` names the call that set the row to `calling`.
CREATE TABLE sf_sync_retry (
  key text PRIMARY KEY,
  job_id text,
  state text NOT NULL DEFAULT 'calling'
    CHECK (state IN ('calling', 'failed', 'succeeded', 'gave-up', 'in-doubt')),
  sf_id text,
  attempts json NOT NULL DEFAULT '[]',
  calls integer NOT NULL DEFAULT 1,
  call_id uuid NOT NULL,
  called_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX sf_sync_retry_of_job ON sf_sync_retry (job_id);
CREATE INDEX sf_sync_retry_age ON sf_sync_retry (called_at);

-- The newest refresh token of each connection, where Salesforce rotates them. Sealed by the connection that keeps it.
CREATE TABLE sf_sync_token (
  key text PRIMARY KEY,
  sealed bytea,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
