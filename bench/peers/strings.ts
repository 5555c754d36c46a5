import { Connection } from 'jsforce';
import { to } from 'pg-copy-streams';
import { COPY, POLL_TIMEOUT_MS, peer } from './peer.ts';

/** jsforce's calls one by one: PostgreSQL's own CSV piped up, and each result file fetched as one string. */
await peer(async ({ database, salesforce, pollMs }) => {
  const job = new Connection({ ...salesforce, version: '66.0' }).bulk2.createJob({
    object: 'Contact',
    operation: 'insert',
  });
  await job.open();
  await job.uploadData(database.query(to(COPY)));
  await job.close();
  await job.poll(pollMs, POLL_TIMEOUT_MS);
  const succeeded = await job.getSuccessfulResults(true);
  const failed = await job.getFailedResults(true);
  await job.getUnprocessedRecords(true);
  return { succeeded: lines(succeeded) - 1, failed: lines(failed) - 1 };
});

/** No value of the table has a line break, so lines are records, and the header. */
function lines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
