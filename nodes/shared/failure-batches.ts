import type { Failure } from '../../src/failure.ts';
import type { Job } from '../../src/job.ts';
import type { SalesforceConnection } from '../../src/load/connection.ts';
import { isJobId, jobOfMessage } from './job-message.ts';
import type { Message } from './red.ts';
import { loadError } from './texts.ts';

/** A failure's key begins with the id of its job; that of a record refused before the upload with its run's. */
export function jobIdOfKey(key: unknown): string | undefined {
  const id = typeof key === 'string' ? key.slice(0, key.indexOf('-')) : '';
  return isJobId(id) ? id : undefined;
}

/** A batch usually is of one job; one that a join made may be of several. */
export function groupByJob(failures: readonly Failure[]): Failure[][] {
  const groups = new Map<string | undefined, Failure[]>();
  for (const failure of failures) {
    const id = jobIdOfKey(checked(failure).key);
    const group = groups.get(id);
    if (group) group.push(failure);
    else groups.set(id, [failure]);
  }
  return [...groups.values()];
}

/** The job that failures of one group came from: the message's, else the one that their keys name. */
export async function jobOfFailures(
  message: Message,
  failures: readonly Failure[],
  connection: SalesforceConnection,
  signal: AbortSignal,
): Promise<Job | undefined> {
  const id = jobIdOfKey(failures[0]?.key);
  const given = message.job as { id?: unknown } | undefined;
  if (isJobId(given?.id) && (id === undefined || id === given.id)) {
    return jobOfMessage({ job: message.job }, connection, signal);
  }
  return id === undefined ? undefined : connection.findJob(id, signal);
}

function checked(failure: Failure): Failure {
  if (typeof failure.key === 'string' && typeof failure.originalData === 'object') return failure;
  throw loadError('RECORD_INVALID', 'noFailure');
}
