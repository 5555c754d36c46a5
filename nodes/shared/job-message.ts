import { LoadError } from '../../src/errors.ts';
import { isFinal, JOB_STATES, type Job, OPERATIONS } from '../../src/job.ts';
import type { SalesforceConnection } from '../../src/load/connection.ts';
import type { Message } from './red.ts';

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
  throw new LoadError(
    'CONFIG_INVALID',
    'The message holds no job: msg.payload must be a job as the create node sends it, or a job id (750…).',
  );
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
  const counts = `${job.numberRecordsProcessed} of ${job.records} records processed, ${job.numberRecordsFailed} of them failed`;
  if (job.state === 'Aborted') {
    return new LoadError(
      'BULK_JOB_ABORTED',
      `Job ${job.id} was aborted (${counts}). Its results tell what was saved before.`,
    );
  }
  return new LoadError(
    'BULK_JOB_FAILED',
    `Job ${job.id} failed: ${job.errorMessage ?? 'Salesforce gave no reason'} (${counts}). Records saved before stay saved; ` +
      'its results tell which.',
  );
}
