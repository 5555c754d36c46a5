import { LoadError } from '../errors.ts';
import type { Job } from '../job.ts';

/** `by`: what of the load is going on at the node that was asked. */
export function alreadyRunning(loadName: string, by: string): LoadError {
  return notStarted(loadName, `still running (${by})`);
}

/** `isHere`: another node of this process is known to have it; else it may be another process, or another connection's node. */
export function runningElsewhere(loadName: string, isHere: boolean): LoadError {
  return notStarted(
    loadName,
    isHere
      ? 'running in another node of this Node-RED, which has the same load name'
      : 'running elsewhere: in another Node-RED, or in this one through another connection node',
  );
}

function notStarted(loadName: string, where: string): LoadError {
  return new LoadError(
    'LOAD_ALREADY_RUNNING',
    `Load "${loadName}" is ${where}. It was not started a second time; the rows stay READY.`,
  );
}

export function unsettled(loadName: string, jobs: readonly Job[]): LoadError {
  return new LoadError(
    'LOAD_UNSETTLED',
    `Load "${loadName}" takes no new rows before its last run is settled: ${named(jobs)} ${jobs.length === 1 ? 'was' : 'were'} ` +
      'sent again, to be polled and read to the end. Start the load again when that is done; a job whose results are gone ' +
      'is ended with a message {"abandon": "<job id>"} to the create node.',
  );
}

export function stale(loadName: string, endedAt: Date): LoadError {
  return new LoadError(
    'LOAD_STALE',
    `These rows were read before the last run of load "${loadName}" ended (${endedAt.toISOString()}), so some of them ` +
      'may be loaded already. Nothing was loaded; start the select again.',
  );
}

export function nothingToAbandon(loadName: string, jobId: string): LoadError {
  return new LoadError(
    'CONFIG_INVALID',
    `Job ${jobId} is no unsettled job of load "${loadName}"; nothing to abandon.`,
  );
}

export function stopped(loadName: string): LoadError {
  return new LoadError(
    'LOAD_BROKEN_OFF',
    `Node-RED stopped or was redeployed while load "${loadName}" was running. Its closed jobs are carried on at the next ` +
      'start; rows in no closed job stay READY.',
  );
}

export function named(jobs: readonly Job[]): string {
  return jobs.length === 1 ? `job ${jobs[0]?.id}` : `jobs ${jobs.map(({ id }) => id).join(', ')}`;
}
