import type { LedgerJob, LedgerRun, LoadHold } from '../database/ledger/job-ledger.ts';
import { reasonOf } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import type { SalesforceConnection } from './connection.ts';
import { jobFromInfo } from './job-info.ts';
import { sumReceipts } from './receipts.ts';

/** How long a take-over tries to reach Salesforce about one job before it goes on with the next. */
const PATIENCE_MS = 60_000;

/** What an earlier process had not closed is not loaded: its rows are still READY (design §7.9). */
export async function asLoaded(
  connection: SalesforceConnection,
  hold: LoadHold,
  record: LedgerRun,
  jobs: readonly LedgerJob[],
): Promise<LedgerRun> {
  if (record.state !== 'loading') return record;
  const uploaded = jobs
    .filter(({ state }) => state !== 'open' && state !== 'discarded')
    .reduce((sum, { job }) => sum + job.records, 0);
  const counts = { received: uploaded + record.rejected, rejected: record.rejected, complete: false };
  await connection.ledger.runLoaded(hold, record.runId, counts);
  return { ...record, ...counts, state: 'loaded' };
}

/** A job that was never `closing` never ran. Where even the abort fails it stays Open in Salesforce, without harm. */
export async function giveUpOpen(connection: SalesforceConnection, known: LedgerJob): Promise<void> {
  const meter = connection.meters.of(known.job.id);
  await connection.ingest
    .abort(known.job.id, { meter, signal: AbortSignal.timeout(PATIENCE_MS) })
    .catch((error) => connection.log.warn(`Job ${known.job.id} could not be aborted: ${reasonOf(error)}`));
  connection.meters.forget(known.job.id);
  await connection.ledger.discardJob(known.job.id, 'its process ended before it was closed');
}

/** A job that ever was `closing` counts as closed; if Salesforce still has it Open, it is aborted (design §7.2). */
export async function confirmClose(connection: SalesforceConnection, known: LedgerJob): Promise<Job> {
  if (known.state !== 'closing') return known.job;
  const call = { meter: connection.meters.of(known.job.id), signal: AbortSignal.timeout(PATIENCE_MS) };
  try {
    const info = await connection.ingest.info(known.job.id, call);
    const job = jobFromInfo(
      info.state === 'Open' ? await connection.ingest.abort(known.job.id, call) : info,
      known.job,
    );
    await connection.ledger.markClosed(job.id, job);
    return job;
  } catch (error) {
    connection.log.warn(`The close of job ${known.job.id} is not confirmed: ${reasonOf(error)}`);
    return known.job;
  }
}

/** Nobody knows what became of its records, and the receipt says so: all of them are unaccounted for. */
export function abandonedReceipt(known: LedgerJob, finishedAt: string): Receipt {
  const { job } = known;
  const facts = {
    runId: known.runId,
    loadName: known.load.loadName,
    spec: job,
    received: job.records,
    rejected: 0,
    uploaded: job.records,
    complete: false,
    startedAt: job.createdDate ?? finishedAt,
    finishedAt,
    otherApiCalls: 0,
  };
  return { ...sumReceipts([], facts), jobId: job.id, state: job.state, unaccounted: job.records };
}
