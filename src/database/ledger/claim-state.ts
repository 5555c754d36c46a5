import type { ClaimState, LedgerJobState, RunState } from './job-ledger.ts';

/** A job that holds records of a claim. `index` numbers a run's files: a file that is sent again is a new job with it. */
export interface ClaimedJob {
  runId: string;
  index: number;
  state: LedgerJobState;
  runState: RunState;
}

type FileState = 'under way' | 'loaded' | 'dropped';

const FILE_STATES: Record<LedgerJobState, FileState> = {
  open: 'under way',
  closing: 'under way',
  closed: 'under way',
  settled: 'loaded',
  discarded: 'dropped',
  abandoned: 'dropped',
};

/** Of the jobs of one file the furthest counts: a discarded one was made up for by the job that took the file again. */
const RANK: FileState[] = ['dropped', 'loaded', 'under way'];

/**
 * What became of a claim. While a run is loading it may still put records of the claim into further jobs. A claim whose records are partly in settled jobs and partly in files that were dropped stays
 * `loading`: called settled it would lose the others, called released it would load the first twice.
 */
export function claimStateOf(jobs: ClaimedJob[]): ClaimState {
  if (jobs.some(({ runState }) => runState === 'loading')) return 'loading';
  const files = new Map<string, FileState>();
  for (const { runId, index, state } of jobs) {
    const file = JSON.stringify([runId, index]);
    const [now, known] = [FILE_STATES[state], files.get(file) ?? 'dropped'];
    files.set(file, RANK.indexOf(now) > RANK.indexOf(known) ? now : known);
  }
  const states = new Set(files.values());
  if (states.size === 0) return 'unknown';
  if (states.size > 1 || states.has('under way')) return 'loading';
  return states.has('loaded') ? 'settled' : 'released';
}
