-- Records that failed for good (design §9). The first four columns are those of the Mule flow. `dead_letters` stands for
-- the table's own name.
CREATE TABLE dead_letters (
  record_data jsonb,
  error_message text,
  job_id text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
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
  replay_of bigint,
  original_data jsonb,
  changed_by text,
  changed_at timestamptz,
  discard_reason text
);
CREATE INDEX ON dead_letters (status, object, operation, external_id_field, id);
CREATE INDEX ON dead_letters (claim_id) WHERE claim_id IS NOT NULL;
-- Finds the earlier letter of a record that fails again.
CREATE INDEX ON dead_letters (object, coalesce(record_data ->> external_id_field, record_data ->> 'Id'))
  WHERE status IN ('replaying', 'replayed');

-- A letter that a person mends keeps what it was.
CREATE OR REPLACE FUNCTION sf_sync_keep_original() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.original_data := coalesce(OLD.original_data, OLD.record_data);
  NEW.changed_by := current_user;
  NEW.changed_at := clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER keep_original BEFORE UPDATE OF record_data ON dead_letters
  FOR EACH ROW WHEN (OLD.record_data IS DISTINCT FROM NEW.record_data) EXECUTE FUNCTION sf_sync_keep_original();
