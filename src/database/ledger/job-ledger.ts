import type { Attempt } from '../../failure.ts';
import type { Job } from '../../job.ts';
import type { Receipt } from '../../receipt.ts';

/** A load is what one `sf-bulk-create` does; its runs exclude each other (design §7). */
export interface LoadKey {
  orgId: string;
  loadName: string;
}

/**
 * The states of a run (one pass of a load).
 *
 * - `loading`: rows are still arriving. Its holder moves it to `loaded` when the last row is in a closed job, or when the
 *   sequence broke off (`complete` false). A take-over finds it and does the latter: the rows that no closed job holds are
 *   still READY at the source.
 * - `loaded`: nothing more is uploaded; some closed job is not settled. A take-over carries its jobs on.
 * - `ended`: every job is settled, discarded or abandoned; the receipt is final. Nobody touches it again but retention.
 */
export type RunState = 'loading' | 'loaded' | 'ended';

/**
 * The states of a job in the ledger; `Job.state` is Salesforce's own and another matter.
 *
 * - `open`: made in Salesforce, upload under way or not begun. Never ran. A take-over aborts it and calls it `discarded`.
 * - `closing`: one UPDATE under the epoch, before the close is asked for. From here on it counts as closed: Salesforce may
 *   have taken the close. A take-over aborts it if it is still Open, and reads its results in any case.
 * - `closed`: the close is known to have taken. Results will come; a take-over sends its message again.
 * - `settled`: results through, every record accounted for. Final.
 * - `discarded`: aborted before it was ever `closing`; its file went into another job, or its rows stayed READY. Final.
 * - `abandoned`: a person gave it up (`abandonedBy`, `reason`). Final.
 *
 * A `closing` or `closed` job that stopped short of settled has `parkedReason` set until somebody carries it on.
 */
export type LedgerJobState = 'open' | 'closing' | 'closed' | 'settled' | 'discarded' | 'abandoned';

export interface LedgerRun {
  runId: string;
  load: LoadKey;
  state: RunState;
  startedAt: Date;
  endedAt: Date | null;
  received: number;
  rejected: number;
  complete: boolean;
  apiCalls: number;
  receipt: Receipt | null;
}

export interface LedgerJob {
  job: Job;
  runId: string;
  load: LoadKey;
  state: LedgerJobState;
  /** The message that the job left on, as JSON, without payload: a parked job's message looks like the first one. */
  carried: Record<string, unknown>;
  /** Claims of `dead-letter-replay` of which this job holds records, and what of them where it is not all. */
  claimIds: string[];
  claimParts: ClaimPart[];
  /** Letters that are given back because Salesforce did not process their records; null: not looked for yet. */
  givenBack: ClaimLetters[] | null;
  parkedReason: string | null;
  receipt: Receipt | null;
  abandonedBy: string | null;
  reason: string | null;
}

/** Closed, or as good as closed, and nobody has said yet what became of all its records. */
export function isUnsettled({ state }: LedgerJob): boolean {
  return state === 'closing' || state === 'closed';
}

/**
 * The right to run a load: an advisory lock and an epoch. `signal` is aborted (reason: a LoadError) when the hold is lost
 * for good: another process raised the epoch. An interrupted connection alone does not lose it: the lock is taken again
 * and the epoch compared (design §7.11).
 */
export interface LoadHold {
  readonly load: LoadKey;
  readonly epoch: number;
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/** `calling`: sent, no answer recorded. `failed`: answered, may be tried again. The others are final. */
export type RetryState = 'calling' | 'failed' | 'succeeded' | 'gave-up' | 'in-doubt';

export interface RetryEntry {
  key: string;
  jobId: string | null;
  state: RetryState;
  sfId: string | null;
  attempts: Attempt[];
  /** Of the last call, by the ledger's clock. */
  calledAt: Date;
}

export type RetryOutcome = Pick<RetryEntry, 'key' | 'sfId' | 'attempts'> & {
  state: Exclude<RetryState, 'calling'>;
};

/** Letters of a claim by their ids, up to but without `past`; null: to the end of the claim. */
export type LetterRange = [first: string, past: string | null];

/** What of a claim a job holds. `letters` null: a part of it, and nobody knows which. */
export interface ClaimPart {
  claimId: string;
  letters: LetterRange | null;
}

/** Some letters of a claim, by their ids. */
export interface ClaimLetters {
  claimId: string;
  letters: string[];
}

/** The letters of a claim that are loaded, when the others are in no job. */
export interface LoadedPart {
  loaded: LetterRange[];
}

/** `unclear`: some of its records are loaded, and nobody can tell which. */
export type ClaimState = 'unknown' | 'loading' | 'settled' | 'released' | 'unclear' | LoadedPart;

/**
 * What must outlive a message: runs, jobs, retries (design §7, §9). One suite of tests holds both implementations
 * (memory, PostgreSQL) to this text. Every method may reject with `DB_UNAVAILABLE`, after waiting for the database as long
 * as the implementation is told to.
 */
export interface JobLedger {
  /** False for the one in memory: a restart forgets. */
  readonly durable: boolean;

  /** The ledger's clock. */
  now(): Promise<Date>;

  /** Takes the lock and raises the epoch; undefined when another process, or another hold in this one, has it. */
  acquire(load: LoadKey): Promise<LoadHold | undefined>;
  /** When the load's last run that received any record ended, by the ledger's clock: rows that were read before are stale. */
  lastRunEndedAt(load: LoadKey): Promise<Date | undefined>;

  beginRun(hold: LoadHold, runId: string): Promise<LedgerRun>;
  /** Rows are all in closed jobs, or the sequence broke off (`complete` false). */
  runLoaded(
    hold: LoadHold,
    runId: string,
    counts: { received: number; rejected: number; complete: boolean },
  ): Promise<void>;
  endRun(hold: LoadHold, runId: string, receipt: Receipt): Promise<void>;
  addApiCalls(runId: string, calls: number): Promise<void>;
  /** Runs of the load that have not ended, oldest first. */
  unfinishedRuns(load: LoadKey): Promise<LedgerRun[]>;
  findRun(runId: string): Promise<LedgerRun | undefined>;

  /** Before its data is uploaded (state `open`). Rejects with LOAD_BROKEN_OFF when the epoch is no longer the hold's. */
  addJob(
    hold: LoadHold,
    entry: {
      job: Job;
      runId: string;
      carried: Record<string, unknown>;
      claimIds: string[];
      claimParts?: ClaimPart[];
    },
  ): Promise<void>;
  /** One UPDATE where the epoch is still the hold's. False: it is not; stop. */
  markClosing(hold: LoadHold, jobId: string): Promise<boolean>;
  markClosed(jobId: string, job: Job): Promise<void>;
  discardJob(jobId: string, reason: string): Promise<void>;
  parkJob(jobId: string, reason: string): Promise<void>;
  /** Somebody carries it on again. */
  unparkJob(jobId: string): Promise<void>;
  settleJob(jobId: string, job: Job, receipt: Receipt): Promise<void>;
  abandonJob(jobId: string, by: string, reason: string, receipt: Receipt): Promise<boolean>;
  /** Before letters are given back. Of several notes the first one holds; it is returned. */
  noteGivenBack(jobId: string, letters: ClaimLetters[]): Promise<ClaimLetters[]>;
  findJob(jobId: string): Promise<LedgerJob | undefined>;
  jobsOfRun(runId: string): Promise<LedgerJob[]>;
  /** Jobs of the load in `closing` or `closed`, oldest first. */
  unsettledJobs(load: LoadKey): Promise<LedgerJob[]>;

  /**
   * Before a REST call, for all records of the call in one statement: notes `calling` for every key that is new or
   * `failed`, and returns what was known of each key before (absent: nothing). Keys known as `calling` or in a final
   * state are left as they are: the caller looks them up, or takes the known outcome. With a hold, writes nothing and
   * rejects with LOAD_BROKEN_OFF when its epoch has passed. A ledger in memory may know the oldest retries of jobs that are
   * over no more.
   */
  beginRetries(
    keys: { key: string; jobId: string | null }[],
    hold: LoadHold | undefined,
  ): Promise<Map<string, RetryEntry>>;
  /** What is known of these keys, and of those that were stored under one of these Salesforce ids. Changes nothing. */
  knownRetries(of: { keys: readonly string[]; sfIds: readonly string[] }): Promise<RetryEntry[]>;
  /**
   * After the call, one statement. A key that has its final state already is left as it is: another process has said what
   * became of it. One that is `failed` takes a success, which is a fact. With a hold whose epoch has passed it rejects with
   * LOAD_BROKEN_OFF, though what the call brought is written: nothing may be sent on that the process which took over has
   * judged differently. Only `failed` is not: that process may be calling by now, and its call is not over.
   */
  endRetries(outcomes: RetryOutcome[], hold?: LoadHold): Promise<void>;

  /**
   * What became of a replay's claim: `settled` when every job with it is settled, `released` when none will load it, else
   * what of it is loaded. While a run that may hold records of it is loading it is `loading`.
   */
  claimState(claimId: string): Promise<ClaimState>;

  /** Forgets ended runs, their jobs and retries that are older than `days`. Returns how many runs went. */
  prune(load: LoadKey, days: number): Promise<number>;

  close(): Promise<void>;
}
