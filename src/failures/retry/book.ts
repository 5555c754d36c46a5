import type { JobLedger, LoadHold, RetryEntry, RetryOutcome } from '../../database/ledger/job-ledger.ts';
import { isLoadError, reasonOf } from '../../errors.ts';
import type { Explanation } from '../classify.ts';
import type { Doubts } from './doubts.ts';
import type { RetryItem, RetryJob } from './item.ts';
import {
  failureNow,
  inDoubt,
  ledgerOutcome,
  leftBehind,
  noAnswer,
  type Result,
  rememberedResult,
  retriedRecord,
  takeHistory,
} from './outcomes.ts';
import type { Stop } from './stop.ts';

export interface BookParts {
  ledger: JobLedger;
  hold: LoadHold | undefined;
  job: RetryJob;
  judge: (item: RetryItem) => Explanation;
  doubts: Pick<Doubts, 'orgMoment' | 'withoutKey'>;
  maxAttempts: number;
}

/** The results of a batch, and what the ledger is told of its records and tells of them. */
export class RetryBook {
  readonly items: readonly RetryItem[];
  readonly results = new Map<RetryItem, Result>();
  readonly #parts: BookParts;
  /** Of which this run has heard what the ledger knew. */
  readonly #begun = new Set<RetryItem>();

  constructor(parts: BookParts, items: readonly RetryItem[]) {
    this.#parts = parts;
    this.items = items;
  }

  isOpen(item: RetryItem): boolean {
    return !this.results.has(item);
  }

  /** Notes a call in the ledger before it is made, and takes up what is known of each record from before. */
  async begin(items: readonly RetryItem[]): Promise<void> {
    const { ledger, job, hold, judge, maxAttempts } = this.#parts;
    const keys = items.map(({ original }) => ({ key: original.key, jobId: job.id }));
    const known = await ledger.beginRetries(keys, hold);
    await this.#takeUp(items, known);
    const spent = items.filter(
      (item) => known.get(item.original.key)?.state === 'failed' && item.tries >= maxAttempts,
    );
    await this.end(spent.map((item) => this.fail(item, judge(item))));
  }

  async #takeUp(items: readonly RetryItem[], known: ReadonlyMap<string, RetryEntry>): Promise<void> {
    const callsOfOthers: [RetryItem, Date][] = [];
    for (const item of items) {
      const entry = known.get(item.original.key);
      if (entry && this.#recall(item, entry)) callsOfOthers.push([item, entry.calledAt]);
      this.#begun.add(item);
    }
    for (const [item, calledAt] of callsOfOthers) {
      item.doubtfulSince ??= await this.#parts.doubts.orgMoment(calledAt);
    }
  }

  /** True for an insert that is in doubt from now on: a process that is gone was calling, and none of ours is in the air. */
  #recall(item: RetryItem, entry: RetryEntry): boolean {
    const { job, judge } = this.#parts;
    if (entry.state !== 'calling' && entry.state !== 'failed') {
      this.results.set(item, rememberedResult(item, entry, job, judge));
      return false;
    }
    if (entry.attempts.length > item.attempts.length) takeHistory(item, entry);
    if (entry.state === 'failed' || item.verb !== 'insert' || item.inDoubt) return false;
    item.inDoubt = true;
    return true;
  }

  /** After the call, one statement. */
  async end(ended: RetryOutcome[]): Promise<void> {
    if (ended.length > 0) await this.#parts.ledger.endRetries(ended, this.#parts.hold);
  }

  /** These note a result, and return what the ledger is to be told of it. */
  succeed(item: RetryItem, id: string): RetryOutcome {
    this.results.set(item, { retried: retriedRecord(item, id) });
    return ledgerOutcome(item, 'succeeded', id);
  }

  fail(item: RetryItem, explanation: Explanation): RetryOutcome {
    this.results.set(item, { failure: failureNow(item, explanation) });
    return ledgerOutcome(item, 'gave-up');
  }

  giveUpUnanswered(item: RetryItem): RetryOutcome {
    this.results.set(item, { failure: noAnswer(item) });
    return ledgerOutcome(item, 'gave-up');
  }

  giveUpInDoubt(item: RetryItem, why: string = this.#parts.doubts.withoutKey()): RetryOutcome {
    this.results.set(item, { failure: inDoubt(item, this.#parts.job, why) });
    return ledgerOutcome(item, 'in-doubt');
  }

  leave(item: RetryItem, stop: Stop): RetryOutcome {
    this.results.set(item, { failure: leftBehind(item, stop) });
    return ledgerOutcome(item, 'gave-up');
  }

  /**
   * After the run has broken: what the ledger knows of records that no call was begun for is taken up. What is in doubt is
   * given up as such, unless the batch comes again: then it stays `calling` in the ledger, and is looked up. Returns the
   * rest, of which nothing is stored as far as anybody can tell.
   */
  async windUp(error: unknown, comesAgain: boolean): Promise<RetryItem[]> {
    // It was waited for already, for as long as the ledger is told to.
    const ledgerIsAway = isLoadError(error, 'DB_UNAVAILABLE');
    if (!ledgerIsAway) await unlessItFails(() => this.#takeUpUnbegun());
    if (!comesAgain) {
      const why = `It could not be looked up: the retry broke off (${reasonOf(error)}).`;
      const doubtful = this.items.filter((item) => this.isOpen(item) && item.inDoubt);
      const ended = doubtful.map((item) => this.giveUpInDoubt(item, why));
      if (!ledgerIsAway) await unlessItFails(() => this.end(ended));
    }
    // What an earlier delivery made of a record that this run had no turn for, only the ledger knows.
    const isUnknown = (item: RetryItem) => comesAgain && ledgerIsAway && !this.#begun.has(item);
    return this.items.filter((item) => this.isOpen(item) && !item.inDoubt && !isUnknown(item));
  }

  async #takeUpUnbegun(): Promise<void> {
    const unbegun = this.items.filter((item) => this.isOpen(item) && !this.#begun.has(item));
    if (unbegun.length === 0) return;
    const keys = unbegun.map(({ original }) => original.key);
    const entries = await this.#parts.ledger.knownRetries({ keys, sfIds: [] });
    await this.#takeUp(unbegun, new Map(entries.map((entry) => [entry.key, entry])));
  }
}

/** The run is reported as broken anyway; only that another process has taken over changes what may be handed out. */
async function unlessItFails(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isLoadError(error, 'LOAD_BROKEN_OFF')) throw error;
  }
}
