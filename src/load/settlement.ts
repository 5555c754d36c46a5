import type { Clock } from '../clock.ts';
import { LoadError } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import { KeySet } from './key-set.ts';

/** What the three result files of a job held. */
export interface ResultCounts {
  succeeded: number;
  failed: number;
  unprocessed: number;
  /** How often each error code came among the failures that were read so far. */
  errorCodes: ReadonlyMap<string, number>;
}

/**
 * The tallies of one reading of a job's results (design §7.7): which failed records were retried or dead-lettered, how
 * many successes were written back. A reading that breaks off is forgotten and the next counts from nothing, because
 * everything behind it is safe to repeat; what is certain goes into the ledger when the job settles.
 */
export class Settlement {
  readonly job: Job;
  readonly counts: ResultCounts;
  /** Of the load that made the job; undefined for a job of another tool. */
  readonly loadName: string | undefined;
  readonly #retried = new KeySet();
  readonly #deadLettered = new KeySet();
  readonly #accounted = new KeySet();
  readonly #writtenBack = new Map<number, number>();
  #writtenBackJoined = 0;
  readonly #batchSize: number;
  #failureNodeSeen = false;
  #writebackSeen = false;
  #movedAt: number;
  readonly #clock: Clock;
  #wake: () => void = () => {};

  constructor(
    job: Job,
    counts: ResultCounts,
    options: { batchSize: number; clock: Clock; loadName?: string | undefined },
  ) {
    this.job = job;
    this.counts = counts;
    this.loadName = options.loadName;
    this.#batchSize = options.batchSize;
    this.#clock = options.clock;
    this.#movedAt = options.clock.now();
  }

  noteRetried(keys: readonly string[]): void {
    this.#failureNodeSeen = true;
    for (const key of keys) {
      this.#retried.add(key);
      this.#accounted.add(key);
    }
    this.#moved();
  }

  noteDeadLettered(keys: readonly string[]): void {
    this.#failureNodeSeen = true;
    for (const key of keys) {
      this.#deadLettered.add(key);
      this.#accounted.add(key);
    }
    this.#moved();
  }

  /**
   * Successes have no key of their own, so they are counted by the batch they came in: never more than it held, so that one
   * batch seen by two nodes counts once. What is more than its batch held was joined from several, or has lost its mark
   * (`batchIndex` undefined): that is counted as it comes.
   */
  noteWrittenBack(batchIndex: number | undefined, records: number): void {
    this.#writebackSeen = true;
    const held = batchIndex === undefined ? 0 : this.#successesIn(batchIndex);
    if (batchIndex === undefined || records > held) this.#writtenBackJoined += records;
    else {
      const before = this.#writtenBack.get(batchIndex) ?? 0;
      this.#writtenBack.set(batchIndex, Math.min(before + records, held));
    }
    this.#moved();
  }

  get retried(): number {
    return this.#retried.size;
  }

  get deadLettered(): number {
    return this.#deadLettered.size;
  }

  get writtenBack(): number {
    let sum = this.#writtenBackJoined;
    for (const records of this.#writtenBack.values()) sum += records;
    return Math.min(sum, this.counts.succeeded);
  }

  get accounted(): boolean {
    return this.#failuresAccounted && this.#successesAccounted;
  }

  /**
   * Waits until every record is accounted for. A node that sends after `done` lets its batch count as through early, so
   * the tallies may still move; without movement for `stuckAfterMs` the job is not settled.
   *
   * @throws LoadError LOAD_UNSETTLED with the counts
   */
  async untilAccounted(stuckAfterMs: number, signal: AbortSignal): Promise<void> {
    this.#movedAt = this.#clock.now();
    while (!this.accounted) {
      const left = this.#movedAt + stuckAfterMs - this.#clock.now();
      if (left <= 0) throw this.#unaccounted(stuckAfterMs);
      await this.#movedOr(left, signal);
    }
  }

  /** Successes are sent first, in full batches but for the last. */
  #successesIn(batchIndex: number): number {
    const left = this.counts.succeeded - batchIndex * this.#batchSize;
    return Math.max(0, Math.min(left, this.#batchSize));
  }

  get #failuresAccounted(): boolean {
    return !this.#failureNodeSeen || this.#accounted.size >= this.counts.failed;
  }

  get #successesAccounted(): boolean {
    return !this.#writebackSeen || this.writtenBack >= this.counts.succeeded;
  }

  #moved(): void {
    this.#movedAt = this.#clock.now();
    this.#wake();
  }

  async #movedOr(ms: number, signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    this.#wake = () => waiting.abort();
    await this.#clock
      .sleep(ms, AbortSignal.any([signal, waiting.signal]))
      .catch(() => signal.throwIfAborted());
    this.#wake = () => {};
  }

  #unaccounted(stuckAfterMs: number): LoadError {
    return new LoadError(
      'LOAD_UNSETTLED',
      `Job ${this.job.id} is not settled: ${this.#accounted.size} of ${this.counts.failed} failed records were retried or ` +
        `dead-lettered, ${this.writtenBack} of ${this.counts.succeeded} successes written back, and nothing moved for ` +
        `${Math.round(stuckAfterMs / 1000)} s. Wire every failure to a retry or a dead letter, or set "Job is settled" of the ` +
        'bulk results node to "when all batches went through the flow".',
    );
  }
}

/**
 * The receipt of one job; `received` is what was uploaded, for a job rejects nothing. Of a job that another tool made nobody
 * knows how much that was: its files hold all of it.
 */
export function jobReceipt(
  settlement: Settlement,
  about: { startedAt: string; finishedAt: string; apiCalls: number },
): Receipt {
  const { job, counts } = settlement;
  const inFiles = counts.succeeded + counts.failed + counts.unprocessed;
  const uploaded = job.records > 0 ? job.records : inFiles;
  return {
    jobId: job.id,
    runId: job.runId,
    loadName: settlement.loadName ?? null,
    object: job.object,
    operation: job.operation,
    state: job.state,
    received: uploaded,
    rejected: 0,
    uploaded,
    succeeded: counts.succeeded,
    failed: counts.failed,
    unprocessed: counts.unprocessed,
    unaccounted: uploaded - inFiles,
    retried: settlement.retried,
    deadLettered: settlement.deadLettered,
    writtenBack: settlement.writtenBack,
    byErrorCode: Object.fromEntries(counts.errorCodes),
    startedAt: about.startedAt,
    finishedAt: about.finishedAt,
    apiCalls: about.apiCalls,
    complete: job.state === 'JobComplete' && counts.unprocessed === 0,
  };
}

/** The settlements under way in this process, found by job id from whatever node touches a job's records. */
export class Settlements {
  readonly #open = new Map<string, Settlement>();

  open(settlement: Settlement): void {
    this.#open.set(settlement.job.id, settlement);
  }

  find(jobId: string): Settlement | undefined {
    return this.#open.get(jobId);
  }

  close(settlement: Settlement): void {
    if (this.#open.get(settlement.job.id) === settlement) this.#open.delete(settlement.job.id);
  }
}
