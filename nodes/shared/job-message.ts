import type { LoadError } from '../../src/errors.ts';
import { isFinal, JOB_STATES, type Job, OPERATIONS } from '../../src/job.ts';
import type { SalesforceConnection } from '../../src/load/connection.ts';
import type { Message } from './red.ts';
import { loadError, text } from './texts.ts';

/** Ids of jobs: 15 or 18 characters with the key prefix 750 (Bulk API 2.0 guide). */
const JOB_ID = /^750\w{12}(?:\w{3})?$/;

/**
 * The job of a message: `msg.payload` or `msg.job` as a node of this package sent it, or a bare job id, of which the
 * ledger and Salesforce know the rest (design §4).
 */
export async function jobOfMessage(
  message: Message,
  connection: SalesforceConnection,
  signal: AbortSignal,
): Promise<Job> {
  const given = [message.payload, message.job].find(
    (value) => isJob(value) || isJobId(value) || hasJobId(value),
  );
  if (isJob(given)) return given;
  if (isJobId(given)) return connection.findJob(given, signal);
  if (hasJobId(given)) return connection.findJob(given.id, signal);
  throw loadError('CONFIG_INVALID', 'noJob');
}

/** The id of the job that records come from, where the message tells. */
export function jobIdOfMessage(message: Message): string | undefined {
  const { job } = message;
  return hasJobId(job) ? job.id : undefined;
}

export function isJobId(value: unknown): value is string {
  return typeof value === 'string' && JOB_ID.test(value);
}

function hasJobId(value: unknown): value is { id: string } {
  return typeof value === 'object' && value !== null && 'id' in value && isJobId(value.id);
}

function isJob(value: unknown): value is Job {
  if (!hasJobId(value)) return false;
  const { state, operation, columns, records } = value as Partial<Job>;
  return (
    JOB_STATES.some((known) => known === state) &&
    OPERATIONS.some((known) => known === operation) &&
    Array.isArray(columns) &&
    typeof records === 'number'
  );
}

/** A final job's own error; what `msg.error` of the poll's second output holds. */
export function jobError(job: Job): LoadError | undefined {
  if (!isFinal(job.state) || job.state === 'JobComplete') return undefined;
  const counts = text('error.jobCounts', {
    processed: String(job.numberRecordsProcessed),
    records: String(job.records),
    failed: String(job.numberRecordsFailed),
  });
  if (job.state === 'Aborted') return loadError('BULK_JOB_ABORTED', 'jobAborted', { job: job.id, counts });
  const reason = job.errorMessage ?? text('error.noReason');
  return loadError('BULK_JOB_FAILED', 'jobFailed', { job: job.id, reason, counts });
}
