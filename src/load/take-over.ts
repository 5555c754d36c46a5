import type { LedgerJob, LedgerRun, LoadHold } from '../database/ledger/job-ledger.ts';
import { reasonOf } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import { orAborted, within } from '../time-limit.ts';
import type { SalesforceConnection } from './connection.ts';
import { sumReceipts } from './receipts.ts';
import type { Run } from './run.ts';

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

/**
 * A job that was never `closing` never ran. Where even the abort fails it stays Open in Salesforce, without harm. Returns the
 * API calls that this took.
 */
export async function giveUpOpen(
  connection: SalesforceConnection,
  known: LedgerJob,
  signal: AbortSignal,
): Promise<number> {
  const { ingest, ledger, meters, log } = connection;
  const meter = meters.of(known.job.id);
  await patiently(connection, signal, (stop) => ingest.abort(known.job.id, { meter, signal: stop })).catch(
    (error) => log.warn(`Job ${known.job.id} could not be aborted: ${reasonOf(error)}`),
  );
  signal.throwIfAborted();
  await ledger.discardJob(known.job.id, 'its process ended before it was closed');
  await ledger.addApiCalls(known.runId, meter.calls);
  meters.forget(known.job.id);
  return meter.calls;
}

/**
 * A job that ever was `closing` counts as closed; if Salesforce still has it Open, looking at it aborts it (design §7.2).
 * Where Salesforce cannot be asked now, whoever watches the job will ask.
 */
export async function confirmClose(
  connection: SalesforceConnection,
  known: LedgerJob,
  signal: AbortSignal,
): Promise<Job> {
  if (known.state !== 'closing') return known.job;
  try {
    const job = await patiently(connection, signal, (stop) => connection.look(known.job, stop));
    await connection.ledger.markClosed(job.id, job);
    return job;
  } catch (error) {
    signal.throwIfAborted();
    connection.log.warn(`The close of job ${known.job.id} is not confirmed: ${reasonOf(error)}`);
    return known.job;
  }
}

/**
 * The run's jobs as the ledger has them. The run hears of a settled job by an event of its connection: what another
 * connection or process has settled or abandoned it takes from there. The signal ends the wait for the ledger.
 */
export async function jobsNow(
  { ledger, inHand, meters }: SalesforceConnection,
  run: Run,
  signal: AbortSignal,
): Promise<LedgerJob[]> {
  const jobs = await orAborted(signal, ledger.jobsOfRun(run.id));
  const open = new Set(run.unsettled.map(({ id }) => id));
  for (const { job, receipt } of jobs) {
    if (!receipt || !open.has(job.id) || inHand.has(job.id)) continue;
    run.noteOtherCalls(meters.of(job.id).calls);
    meters.forget(job.id);
    await run.settle(job, receipt);
  }
  return jobs;
}

function patiently<T>(
  { clock }: SalesforceConnection,
  signal: AbortSignal,
  work: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  return within(clock, PATIENCE_MS, (late) => work(AbortSignal.any([late, signal])));
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
