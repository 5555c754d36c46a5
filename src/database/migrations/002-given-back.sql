-- Letters of replayed claims whose records Salesforce did not process: noted before they are given back. Null: not looked for.
ALTER TABLE sf_sync_job ADD COLUMN given_back json;
