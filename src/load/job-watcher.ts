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
  nextLookAt: number;
  watchers: Set<Watcher>;
  stop: AbortController;
  /** Ends the sleep before the next look, which may have come nearer. */
  wake: () => void;
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
  async watch(job: Job, options: WatchOptions): Promise<Job> {
    options.signal.throwIfAborted();
    if (isFinal(job.state)) return job;
    const over = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        const watcher = { options, since: this.#options.clock.now(), resolve, reject };
        this.#join(this.#watched.get(job.id) ?? this.#begin(job), watcher, over.signal);
      });
    } finally {
      over.abort();
    }
  }

  #begin(job: Job): Watched {
    const now = this.#options.clock.now();
    const watched: Watched = {
      job,
      startedAt: now,
      movedAt: now,
      nextLookAt: Number.POSITIVE_INFINITY,
      watchers: new Set(),
      stop: new AbortController(),
      wake: () => {},
    };
    this.#watched.set(job.id, watched);
    queueMicrotask(() => void this.#run(watched));
    return watched;
  }

  /** A newcomer may want to know sooner than those who watch already. */
  #join(watched: Watched, watcher: Watcher, over: AbortSignal): void {
    const { signal, timeoutMs } = watcher.options;
    const { clock } = this.#options;
    watched.watchers.add(watcher);
    watched.nextLookAt = Math.min(watched.nextLookAt, clock.now() + this.#firstDelay(watched));
    watched.wake();
    const leave = (reason: () => unknown) => this.#leave(watched, watcher, reason());
    signal.addEventListener('abort', () => leave(() => signal.reason), { once: true, signal: over });
    if (timeoutMs === 0) return;
    clock.sleep(timeoutMs, over).then(
      () => leave(() => timedOut(watched.job, timeoutMs)),
      () => {}, // The watching ended before.
    );
  }

  async #run(watched: Watched): Promise<void> {
    const { clock } = this.#options;
    while (watched.watchers.size > 0) {
      const wait = watched.nextLookAt - clock.now();
      if (wait > 0) {
        await this.#sleep(watched, wait);
        continue;
      }
      watched.nextLookAt = Number.POSITIVE_INFINITY;
      try {
        await this.#look(watched);
      } catch (error) {
        this.#end(watched, (watcher) => watcher.reject(error));
      }
      watched.nextLookAt = Math.min(watched.nextLookAt, clock.now() + this.#interval(watched));
    }
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

  async #look(watched: Watched): Promise<void> {
    const before = watched.job;
    const job = await this.#options.look(before, watched.stop.signal);
    watched.job = job;
    if (moved(before, job)) watched.movedAt = this.#options.clock.now();
    if (isFinal(job.state)) {
      this.#end(watched, (watcher) => watcher.resolve(job));
      return;
    }
    for (const { options } of watched.watchers) options.onProgress?.(job);
    this.#giveUpStalled(watched);
  }

  /** Whoever came after the last movement has waited only since then. */
  #giveUpStalled(watched: Watched): void {
    const now = this.#options.clock.now();
    for (const watcher of [...watched.watchers]) {
      const { stallTimeoutMs } = watcher.options;
      const still = now - Math.max(watched.movedAt, watcher.since);
      if (stallTimeoutMs > 0 && still >= stallTimeoutMs)
        this.#leave(watched, watcher, stalled(watched.job, still));
    }
  }

  async #sleep(watched: Watched, ms: number): Promise<void> {
    const woken = new AbortController();
    watched.wake = () => woken.abort();
    const signal = AbortSignal.any([watched.stop.signal, woken.signal]);
    await this.#options.clock.sleep(ms, signal).catch(() => {}); // Woken: whoever did so has said why.
    watched.wake = () => {};
  }

  /** The last one to leave ends the watching; another may begin at once, on its own. */
  #leave(watched: Watched, watcher: Watcher, reason: unknown): void {
    if (!watched.watchers.delete(watcher)) return;
    if (watched.watchers.size === 0) this.#forget(watched);
    watcher.reject(reason);
  }

  #end(watched: Watched, tell: (watcher: Watcher) => void): void {
    this.#forget(watched);
    for (const watcher of watched.watchers) tell(watcher);
    watched.watchers.clear();
  }

  #forget(watched: Watched): void {
    watched.stop.abort();
    if (this.#watched.get(watched.job.id) === watched) this.#watched.delete(watched.job.id);
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
