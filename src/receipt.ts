import type { JobState, Operation } from './job.ts';

/** What became of the records of a job, or of a run as the sum of its jobs (design §6). Times are ISO 8601. */
export interface Receipt {
  jobId: string | null;
  runId: string | null;
  loadName: string | null;
  object: string;
  operation: Operation;
  state: JobState | 'Discarded' | null;
  received: number;
  rejected: number;
  uploaded: number;
  succeeded: number;
  failed: number;
  unprocessed: number;
  unaccounted: number;
  retried: number;
  deadLettered: number;
  writtenBack: number;
  byErrorCode: Record<string, number>;
  startedAt: string;
  finishedAt: string;
  apiCalls: number;
  complete: boolean;
}
