-- Dead letters. The quoted name takes the place in double braces: not in a comment, as it may hold line breaks. The first
-- four columns are those of the MuleSoft flow; of the rest,
-- original_data, changed_by, changed_at and discard_reason belong to the person who mends or discards a letter.
CREATE TABLE {{table}} (
  record_data jsonb,
  error_message text,
  job_id text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text UNIQUE,
  run_id text,
  load_name text,
  object text,
  operation text,
  external_id_field text,
  error_code text,
  error_category text,
  retryable boolean,
  attempts jsonb NOT NULL DEFAULT '[]',
  status text NOT NULL DEFAULT 'dead' CHECK (status IN ('dead', 'replaying', 'replayed', 'discarded')),
  claim_id text,
  replay_of bigint REFERENCES {{table}} (id) ON DELETE SET NULL,
  original_data jsonb,
  changed_by text,
  changed_at timestamptz,
  discard_reason text
);
-- For those who look, for replay, and for finding the letter that a record had before it was sent again.
CREATE INDEX ON {{table}} (job_id);
CREATE INDEX ON {{table}} (replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX ON {{table}} (object, operation, external_id_field, id) WHERE status = 'dead';
CREATE INDEX ON {{table}} (claim_id) WHERE status = 'replaying';
-- fastupdate would have each look-up read the list of what is not in the index yet.
CREATE INDEX ON {{table}} USING gin (record_data jsonb_path_ops) WITH (fastupdate = off)
  WHERE status IN ('replaying', 'replayed');
