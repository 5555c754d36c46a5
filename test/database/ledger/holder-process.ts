/**
 * A process that holds a load. Argument: JSON {config, load, runId, jobId}. It says `held` when it does; for each line on
 * its standard input it tries to mark the job closing, and prints what came of it.
 */
import { createInterface } from 'node:readline';
import { PostgresLedger } from '../../../src/database/ledger/postgres-ledger.ts';
import { Database } from '../../../src/database/pool.ts';
import { aJob, hold } from './ledger-samples.ts';

const { config, load, runId, jobId } = JSON.parse(process.argv[2] ?? '');
const ledger = new PostgresLedger(new Database(config));
const held = await hold(ledger, load);
held.signal.addEventListener('abort', () => console.log(`lost ${held.signal.reason.code}`));
await ledger.beginRun(held, runId);
await ledger.addJob(held, { job: aJob({ id: jobId, runId }), runId, carried: {}, claimIds: [] });
console.log('held');
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(`marked ${await ledger.markClosing(held, jobId)}`);
}
