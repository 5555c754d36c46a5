import type { Clock } from '../clock.ts';
import { LoadError } from '../errors.ts';
import { isFinal, type Job } from '../job.ts';

export interface WatchOptions {
  /** Milliseconds between two looks at a young job, and at an old one. */
  intervalMs: number;
  maxIntervalMs: number;
  /** Gives up after this long; 0 = never. The job goes on in Salesforce and can be watched again. */
  timeoutMs: number;
  /** Gives up when neither state nor counters moved for this long; 0 = never. */
  stallTimeoutMs: number;
  onProgress?: (job: Job) => void;
  signal: AbortSignal;
}

/** What the watcher asks about a job: one GET, which counts as one API call. */
export type LookAtJob = (job: Job, signal: AbortSignal) => Promise<Job>;

export interface WatcherOptions {
  look: LookAtJob;
  clock: Clock;
  /** True while the day's API calls are nearly used up: looks then come rarely. */
  overBudget: () => boolean;
  random?: () => number;
}

/** A job is looked at once in a twentieth of its age: ten seconds at first, a minute from its twentieth minute on. */
const AGE_PER_LOOK = 20;
const OVER_BUDGET_FACTOR = 5;

interface Watched {
  job: Job;
  startedAt: number;
  movedAt: number;
  interval: number;
  watchers: Set<Watcher>;
  stop: AbortController;
  poke: () => void;
}

interface Watcher {
  options: WatchOptions;
  since: number;
  resolve: (job: Job) => void;
  reject: (reason: unknown) => void;
}

/**
 * The one watcher of a connection: however many nodes wait for a job, Salesforce is asked once (design §8). A time-out
 * ends the waiting, never the job.
 */
export class JobWatcher {
  readonly #options: WatcherOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** How many jobs are being watched. */
  get size(): number {
    return this.#watched.size;
  }

  /**
   * Resolves with the job in a final state.
   *
   * @throws LoadError BULK_JOB_TIMEOUT, BULK_JOB_STALLED, BULK_JOB_GONE; whatever a look that cannot be repeated throws;
   *   the signal's reason
   */
  watch(job: Job, options: WatchOptions): Promise<Job> {
    options.signal.throwIfAborted();
    if (isFinal(job.state)) return Promise.resolve(job);
    return new Promise((resolve, reject) => {
      const watched = this.#watched.get(job.id) ?? this.#begin(job);
      const onAbort = () => this.#leave(watched, watcher, () => reject(options.signal.reason));
      const settled = () => options.signal.removeEventListener('abort', onAbort);
      const watcher: Watcher = {
        options,
        since: this.#options.clock.now(),
        resolve: (final) => {
          settled();
          resolve(final);
        },
        reject: (reason) => {
          settled();
          reject(reason);
        },
      };
      watched.watchers.add(watcher);
      options.signal.addEventListener('abort', onAbort, { once: true });
      watched.poke();
    });
  }

  #begin(job: Job): Watched {
    const now = this.#options.clock.now();
    const watched: Watched = {
      job,
      startedAt: now,
      movedAt: now,
      interval: 0,
      watchers: new Set(),
      stop: new AbortController(),
      poke: () => {},
    };
    this.#watched.set(job.id, watched);
    queueMicrotask(() => void this.#run(watched));
    return watched;
  }

  async #run(watched: Watched): Promise<void> {
    const { clock } = this.#options;
    let next = clock.now() + this.#firstDelay(watched);
    while (watched.watchers.size > 0) {
      await this.#sleepUntil(watched, Math.min(next, this.#nextDeadline(watched)));
      this.#giveUpLate(watched);
      if (watched.watchers.size === 0 || clock.now() < next) continue;
      try {
        if (await this.#look(watched)) return;
      } catch (error) {
        if (watched.watchers.size > 0) this.#end(watched, (watcher) => watcher.reject(error));
        return;
      }
      next = clock.now() + this.#interval(watched);
    }
    this.#watched.delete(watched.job.id);
  }

  /** Spread over the second half of the interval, so that jobs made together are not asked for together. */
  #firstDelay(watched: Watched): number {
    const random = this.#options.random ?? Math.random;
    return this.#interval(watched) * (0.5 + random() / 2);
  }

  #interval(watched: Watched): number {
    const age = this.#options.clock.now() - watched.startedAt;
    const wanted = [...watched.watchers].map(({ options }) =>
      Math.min(
        Math.max(age / AGE_PER_LOOK, options.intervalMs),
        Math.max(options.maxIntervalMs, options.intervalMs),
      ),
    );
    const interval = Math.min(...wanted);
    return this.#options.overBudget() ? interval * OVER_BUDGET_FACTOR : interval;
  }

  /** Returns true when the watching is over. */
  async #look(watched: Watched): Promise<boolean> {
    const before = watched.job;
    const job = await this.#options.look(before, watched.stop.signal);
    if (watched.watchers.size === 0) {
      this.#watched.delete(job.id);
      return true;
    }
    watched.job = job;
    if (moved(before, job)) watched.movedAt = this.#options.clock.now();
    if (isFinal(job.state)) {
      this.#end(watched, (watcher) => watcher.resolve(job));
      return true;
    }
    for (const { options } of watched.watchers) options.onProgress?.(job);
    this.#giveUpStalled(watched);
    return false;
  }

  #nextDeadline(watched: Watched): number {
    const deadlines = [...watched.watchers].map(({ options, since }) =>
      options.timeoutMs > 0 ? since + options.timeoutMs : Number.POSITIVE_INFINITY,
    );
    return Math.min(...deadlines);
  }

  #giveUpLate(watched: Watched): void {
    const now = this.#options.clock.now();
    for (const watcher of [...watched.watchers]) {
      const { timeoutMs } = watcher.options;
      if (timeoutMs === 0 || now < watcher.since + timeoutMs) continue;
      this.#leave(watched, watcher, () => watcher.reject(timedOut(watched.job, timeoutMs)));
    }
  }

  #giveUpStalled(watched: Watched): void {
    const still = this.#options.clock.now() - watched.movedAt;
    for (const watcher of [...watched.watchers]) {
      const { stallTimeoutMs } = watcher.options;
      if (stallTimeoutMs === 0 || still < stallTimeoutMs) continue;
      this.#leave(watched, watcher, () => watcher.reject(stalled(watched.job, still)));
    }
  }

  async #sleepUntil(watched: Watched, at: number): Promise<void> {
    const { clock } = this.#options;
    const poked = new AbortController();
    watched.poke = () => poked.abort();
    const signal = AbortSignal.any([watched.stop.signal, poked.signal]);
    await clock.sleep(Math.max(0, at - clock.now()), signal).catch(() => {});
    watched.poke = () => {};
  }

  #leave(watched: Watched, watcher: Watcher, tell: () => void): void {
    if (!watched.watchers.delete(watcher)) return;
    if (watched.watchers.size === 0) {
      this.#watched.delete(watched.job.id);
      watched.stop.abort();
    }
    tell();
  }

  #end(watched: Watched, tell: (watcher: Watcher) => void): void {
    this.#watched.delete(watched.job.id);
    for (const watcher of watched.watchers) tell(watcher);
    watched.watchers.clear();
  }
}

function moved(before: Job, after: Job): boolean {
  return (
    before.state !== after.state ||
    before.numberRecordsProcessed !== after.numberRecordsProcessed ||
    before.numberRecordsFailed !== after.numberRecordsFailed ||
    before.retries !== after.retries
  );
}

function timedOut(job: Job, timeoutMs: number): LoadError {
  return new LoadError(
    'BULK_JOB_TIMEOUT',
    `Job ${job.id} was still ${job.state} after ${Math.round(timeoutMs / 1000)} s (${job.numberRecordsProcessed} of ` +
      `${job.records} records processed). It goes on in Salesforce: send the same message again to carry on.`,
  );
}

function stalled(job: Job, stillMs: number): LoadError {
  return new LoadError(
    'BULK_JOB_STALLED',
    `Job ${job.id} has been ${job.state} at ${job.numberRecordsProcessed} of ${job.records} records for ` +
      `${Math.round(stillMs / 1000)} s. Look at it in Salesforce (Setup, Bulk Data Load Jobs); send the same message again ` +
      'to go on waiting.',
  );
}
