import type { ClaimPart, ClaimState, LedgerJobState, LetterRange, RunState } from './job-ledger.ts';

/** A job that holds records of a claim. `index` numbers a run's files: a file that is sent again is a new job with it. */
export interface ClaimedJob {
  runId: string;
  index: number;
  state: LedgerJobState;
  runState: RunState;
  /** Undefined: it holds the whole claim. */
  part: ClaimPart | undefined;
}

type FileState = 'under way' | 'loaded' | 'dropped';

interface ClaimedFile {
  state: FileState;
  part: ClaimPart | undefined;
}

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

/** Before every letter's id. */
export const FROM_THE_FIRST = '0';

/**
 * What became of a claim. While a run is loading it may still put records of the claim into further jobs. Of a run that
 * broke off, some of a claim's records may be in settled jobs and the rest in files that never had one: called settled, the
 * rest would be lost; called released, the first would be loaded twice.
 */
export function claimStateOf(jobs: ClaimedJob[]): ClaimState {
  if (jobs.some(({ runState }) => runState === 'loading')) return 'loading';
  const files = filesOf(jobs);
  const loaded = files.filter(({ state }) => state === 'loaded');
  if (files.length === 0) return 'unknown';
  if (files.some(({ state }) => state === 'under way')) return 'loading';
  if (loaded.length === 0) return 'released';
  const isWholeDropped = files.some(({ state, part }) => state === 'dropped' && part === undefined);
  return isWholeDropped ? 'unclear' : stateOfLoaded(loaded);
}

function filesOf(jobs: ClaimedJob[]): ClaimedFile[] {
  const files = new Map<string, ClaimedFile>();
  for (const { runId, index, state, part } of jobs) {
    const name = JSON.stringify([runId, index]);
    const [now, known] = [FILE_STATES[state], files.get(name)?.state ?? 'dropped'];
    files.set(name, { state: RANK.indexOf(now) > RANK.indexOf(known) ? now : known, part });
  }
  return [...files.values()];
}

function stateOfLoaded(files: ClaimedFile[]): ClaimState {
  const ranges: LetterRange[] = [];
  for (const { part } of files) {
    if (part === undefined) return 'settled';
    if (part.letters === null) return 'unclear';
    ranges.push(part.letters);
  }
  const loaded = joined(ranges);
  const [[first, past] = [], ...others] = loaded;
  return first === FROM_THE_FIRST && past === null && others.length === 0 ? 'settled' : { loaded };
}

/** Ranges that meet become one. */
function joined(ranges: LetterRange[]): LetterRange[] {
  const result: LetterRange[] = [];
  for (const [first, past] of ranges.toSorted(([a], [b]) => Number(BigInt(a) - BigInt(b)))) {
    const before = result.at(-1);
    if (before?.[1] === first) before[1] = past;
    else result.push([first, past]);
  }
  return result;
}
