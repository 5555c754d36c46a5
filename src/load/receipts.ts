import type { JobSpec } from '../job.ts';
import type { Receipt } from '../receipt.ts';

export interface RunFacts {
  runId: string;
  loadName: string;
  spec: Pick<JobSpec, 'object' | 'operation'> | undefined;
  received: number;
  rejected: number;
  uploaded: number;
  complete: boolean;
  startedAt: string;
  finishedAt: string;
  /** Calls that no job's receipt counts: jobs that were made and discarded. */
  otherApiCalls: number;
}

const SUMMED = [
  'succeeded',
  'failed',
  'unprocessed',
  'unaccounted',
  'retried',
  'deadLettered',
  'writtenBack',
  'apiCalls',
] as const;

/** The receipt of a run is the sum of its jobs' (design §6), and complete only if every one of them is. */
export function sumReceipts(jobs: readonly Receipt[], run: RunFacts): Receipt {
  const first = jobs[0];
  const sums = Object.fromEntries(SUMMED.map((name) => [name, sum(jobs, name)])) as Record<
    (typeof SUMMED)[number],
    number
  >;
  return {
    jobId: null,
    runId: run.runId,
    loadName: run.loadName,
    object: run.spec?.object ?? first?.object ?? '',
    operation: run.spec?.operation ?? first?.operation ?? 'insert',
    state: worstState(jobs),
    received: run.received,
    rejected: run.rejected,
    uploaded: run.uploaded,
    ...sums,
    byErrorCode: mergeCodes(jobs),
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
    apiCalls: sums.apiCalls + run.otherApiCalls,
    complete: run.complete && jobs.every(({ complete }) => complete),
  };
}

function sum(jobs: readonly Receipt[], name: (typeof SUMMED)[number]): number {
  return jobs.reduce((total, receipt) => total + receipt[name], 0);
}

/** Worst first. A job that was abandoned may have been in any state. */
const STATES = ['Failed', 'Aborted', 'Open', 'UploadComplete', 'InProgress', 'JobComplete'] as const;

function worstState(jobs: readonly Receipt[]): Receipt['state'] {
  const states = new Set(jobs.map(({ state }) => state));
  return STATES.find((state) => states.has(state)) ?? null;
}

/** By way of a map: a code can be any text, also the name of something that every object has. */
function mergeCodes(jobs: readonly Receipt[]): Record<string, number> {
  const merged = new Map<string, number>();
  for (const { byErrorCode } of jobs) {
    for (const [code, count] of Object.entries(byErrorCode))
      merged.set(code, (merged.get(code) ?? 0) + count);
  }
  return Object.fromEntries(merged);
}
