import { type Clock, systemClock } from '../../clock.ts';
import type { Job } from '../../job.ts';
import type { Receipt } from '../../receipt.ts';
import { brokenOff } from './broken-off.ts';
import { claimStateOf } from './claim-state.ts';
import type {
  ClaimLetters,
  ClaimState,
  JobLedger,
  LedgerJob,
  LedgerRun,
  LoadHold,
  LoadKey,
  RetryEntry,
  RetryOutcome,
} from './job-ledger.ts';
import { MemoryRetries } from './memory-retries.ts';

const DAY_MS = 86_400_000;

/** The rules of the ledger inside one process: nothing of it outlives the process. */
export class MemoryLedger implements JobLedger {
  readonly durable = false;
  readonly #clock: Clock;
  readonly #epochs = new Map<string, number>();
  readonly #held = new Set<string>();
  readonly #lastEnds = new Map<string, Date>();
  readonly #runs = new Map<string, LedgerRun>();
  readonly #jobs = new Map<string, LedgerJob>();
  readonly #retries = new MemoryRetries((jobId) => this.#isOver(jobId));

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async now(): Promise<Date> {
    return new Date(this.#clock.now());
  }

  async acquire(load: LoadKey): Promise<LoadHold | undefined> {
    const name = nameOf(load);
    if (this.#held.has(name)) return undefined;
    const epoch = (this.#epochs.get(name) ?? 0) + 1;
    this.#held.add(name);
    this.#epochs.set(name, epoch);
    return {
      load: { ...load },
      epoch,
      signal: new AbortController().signal,
      // A second release must not free what somebody else has taken since.
      release: async () => {
        if (this.#epochs.get(name) === epoch) this.#held.delete(name);
      },
    };
  }

  async lastRunEndedAt(load: LoadKey): Promise<Date | undefined> {
    return this.#lastEnds.get(nameOf(load));
  }

  async beginRun(hold: LoadHold, runId: string): Promise<LedgerRun> {
    this.#checkEpoch(hold);
    const known = this.#runs.get(runId);
    if (known !== undefined) return structuredClone(known);
    const run: LedgerRun = {
      runId,
      load: { ...hold.load },
      state: 'loading',
      startedAt: await this.now(),
      endedAt: null,
      received: 0,
      rejected: 0,
      complete: false,
      apiCalls: 0,
      receipt: null,
    };
    this.#runs.set(runId, run);
    return structuredClone(run);
  }

  async runLoaded(
    hold: LoadHold,
    runId: string,
    counts: { received: number; rejected: number; complete: boolean },
  ): Promise<void> {
    this.#checkEpoch(hold);
    const run = this.#runs.get(runId);
    if (run?.state === 'loading') Object.assign(run, counts, { state: 'loaded' });
  }

  async endRun(hold: LoadHold, runId: string, receipt: Receipt): Promise<void> {
    this.#checkEpoch(hold);
    const run = this.#runs.get(runId);
    if (run === undefined || run.state === 'ended') return;
    const endedAt = await this.now();
    Object.assign(run, { state: 'ended', endedAt, receipt: asJson(receipt) });
    if (receipt.received > 0) this.#lastEnds.set(nameOf(run.load), endedAt);
    this.#retries.forgetOldest(endedAt);
  }

  async addApiCalls(runId: string, calls: number): Promise<void> {
    const run = this.#runs.get(runId);
    if (run !== undefined) run.apiCalls += calls;
  }

  async unfinishedRuns(load: LoadKey): Promise<LedgerRun[]> {
    const found = [...this.#runs.values()].filter((run) => isOf(run, load) && run.state !== 'ended');
    return structuredClone(found);
  }

  async findRun(runId: string): Promise<LedgerRun | undefined> {
    return structuredClone(this.#runs.get(runId));
  }

  async addJob(
    hold: LoadHold,
    { claimParts = [], ...entry }: Parameters<JobLedger['addJob']>[1],
  ): Promise<void> {
    this.#checkEpoch(hold);
    if (this.#jobs.has(entry.job.id)) return;
    this.#jobs.set(entry.job.id, {
      ...asJson({ ...entry, claimParts }),
      load: { ...hold.load },
      state: 'open',
      givenBack: null,
      parkedReason: null,
      receipt: null,
      abandonedBy: null,
      reason: null,
    });
  }

  async markClosing(hold: LoadHold, jobId: string): Promise<boolean> {
    const job = this.#jobs.get(jobId);
    if (job === undefined || !this.#isCurrent(hold) || !isIn(job, ['open', 'closing'])) return false;
    job.state = 'closing';
    return true;
  }

  async markClosed(jobId: string, job: Job): Promise<void> {
    this.#move(jobId, ['closing', 'closed'], { state: 'closed', job: asJson(job) });
  }

  async discardJob(jobId: string, reason: string): Promise<void> {
    this.#move(jobId, ['open'], { state: 'discarded', reason });
  }

  async parkJob(jobId: string, reason: string): Promise<void> {
    this.#move(jobId, ['closing', 'closed'], { parkedReason: reason });
  }

  async unparkJob(jobId: string): Promise<void> {
    this.#move(jobId, ['closing', 'closed'], { parkedReason: null });
  }

  async settleJob(jobId: string, job: Job, receipt: Receipt): Promise<void> {
    const change = {
      state: 'settled',
      job: asJson(job),
      receipt: asJson(receipt),
      parkedReason: null,
    } as const;
    this.#move(jobId, ['closing', 'closed'], change);
  }

  async abandonJob(jobId: string, by: string, reason: string, receipt: Receipt): Promise<boolean> {
    const { state, abandonedBy, reason: given } = this.#jobs.get(jobId) ?? {};
    if (state === 'abandoned' && abandonedBy === by && given === reason) return true;
    return this.#move(jobId, ['open', 'closing', 'closed'], {
      state: 'abandoned',
      abandonedBy: by,
      reason,
      receipt: asJson(receipt),
      parkedReason: null,
    });
  }

  async noteGivenBack(jobId: string, letters: ClaimLetters[]): Promise<ClaimLetters[]> {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return letters;
    job.givenBack ??= structuredClone(letters);
    return structuredClone(job.givenBack);
  }

  async findJob(jobId: string): Promise<LedgerJob | undefined> {
    return structuredClone(this.#jobs.get(jobId));
  }

  async jobsOfRun(runId: string): Promise<LedgerJob[]> {
    return structuredClone([...this.#jobs.values()].filter((job) => job.runId === runId));
  }

  async unsettledJobs(load: LoadKey): Promise<LedgerJob[]> {
    const found = [...this.#jobs.values()].filter(
      (job) => isOf(job, load) && isIn(job, ['closing', 'closed']),
    );
    return structuredClone(found);
  }

  async beginRetries(
    keys: { key: string; jobId: string | null }[],
    hold: LoadHold | undefined,
  ): Promise<Map<string, RetryEntry>> {
    if (hold !== undefined) this.#checkEpoch(hold);
    return this.#retries.begin(keys, await this.now());
  }

  async knownRetries(of: { keys: readonly string[]; sfIds: readonly string[] }): Promise<RetryEntry[]> {
    return this.#retries.known(of);
  }

  async endRetries(outcomes: RetryOutcome[], hold?: LoadHold): Promise<void> {
    this.#retries.end(outcomes, hold === undefined || this.#isCurrent(hold));
    if (hold !== undefined) this.#checkEpoch(hold);
  }

  async claimState(claimId: string): Promise<ClaimState> {
    const claimed = [...this.#jobs.values()].filter((job) => job.claimIds.includes(claimId));
    // Such a run may hold records of the claim in scratch files that no job names yet.
    const isLoading = [...this.#runs.values()].some(({ state }) => state === 'loading');
    if (claimed.length === 0 && isLoading) return 'loading';
    return claimStateOf(
      claimed.map(({ runId, state, job, claimParts }) => {
        const runState = this.#runs.get(runId)?.state ?? 'ended';
        const part = claimParts.find((each) => each.claimId === claimId);
        return { runId, index: job.index, state, runState, part };
      }),
    );
  }

  async prune(load: LoadKey, days: number): Promise<number> {
    const before = this.#clock.now() - days * DAY_MS;
    const old = [...this.#runs.values()].filter(
      (run) => isOf(run, load) && run.endedAt !== null && run.endedAt.getTime() < before,
    );
    const runIds = new Set(old.map(({ runId }) => runId));
    const jobIds = new Set(
      [...this.#jobs.values()].filter((j) => runIds.has(j.runId)).map(({ job }) => job.id),
    );
    for (const runId of runIds) this.#runs.delete(runId);
    for (const jobId of jobIds) this.#jobs.delete(jobId);
    this.#retries.prune(before, (jobId) => this.#jobs.has(jobId));
    return runIds.size;
  }

  async close(): Promise<void> {}

  /** Also where the ledger has no such job: nobody is going to settle it. */
  #isOver(jobId: string | null): boolean {
    const job = jobId === null ? undefined : this.#jobs.get(jobId);
    return job === undefined || !isIn(job, ['open', 'closing', 'closed']);
  }

  #isCurrent(hold: LoadHold): boolean {
    return this.#epochs.get(nameOf(hold.load)) === hold.epoch;
  }

  #checkEpoch(hold: LoadHold): void {
    if (!this.#isCurrent(hold)) throw brokenOff(hold.load);
  }

  /** Changes a job that is in one of `states`; any other is left alone. */
  #move(jobId: string, states: LedgerJob['state'][], change: Partial<LedgerJob>): boolean {
    const job = this.#jobs.get(jobId);
    if (job === undefined || !isIn(job, states)) return false;
    Object.assign(job, change);
    return true;
  }
}

function nameOf({ orgId, loadName }: LoadKey): string {
  return JSON.stringify([orgId, loadName]);
}

function isOf(entry: { load: LoadKey }, load: LoadKey): boolean {
  return nameOf(entry.load) === nameOf(load);
}

function isIn(job: LedgerJob, states: LedgerJob['state'][]): boolean {
  return states.includes(job.state);
}

/** As a database would keep it: a copy, without what JSON cannot say. */
function asJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}
