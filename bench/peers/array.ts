import { Connection } from 'jsforce';
import { POLL_TIMEOUT_MS, peer, SELECT } from './peer.ts';

/** All rows in memory, handed to jsforce's helper as objects; all results in memory as objects. */
await peer(async ({ database, salesforce, pollMs }) => {
  const { rows } = await database.query(SELECT);
  const results = await new Connection({ ...salesforce, version: '66.0' }).bulk2.loadAndWaitForResults({
    object: 'Contact',
    operation: 'insert',
    input: rows,
    pollInterval: pollMs,
    pollTimeout: POLL_TIMEOUT_MS,
  });
  return { succeeded: results.successfulResults.length, failed: results.failedResults.length };
});
