import { Connection } from 'jsforce';
import { to } from 'pg-copy-streams';
import { COPY, POLL_TIMEOUT_MS, peer } from './peer.ts';

/** PostgreSQL's own CSV, piped into jsforce's helper; all results in memory as objects. */
await peer(async ({ database, salesforce, pollMs }) => {
  const results = await new Connection({ ...salesforce, version: '66.0' }).bulk2.loadAndWaitForResults({
    object: 'Contact',
    operation: 'insert',
    input: database.query(to(COPY)),
    pollInterval: pollMs,
    pollTimeout: POLL_TIMEOUT_MS,
  });
  return { succeeded: results.successfulResults.length, failed: results.failedResults.length };
});
