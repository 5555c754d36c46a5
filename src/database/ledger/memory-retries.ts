import type { RetryEntry, RetryOutcome } from './job-ledger.ts';
import { lastOfEach, takesOutcome } from './retry-outcomes.ts';

/** A batch that is delivered a second time comes within minutes: no younger outcome is forgotten, however many there are. */
const SECOND_DELIVERY_MS = 3_600_000;
/**
 * Half a kilobyte each. Beyond these the oldest of jobs that are over are forgotten: they served only whoever has the results
 * of a settled job read again.
 */
const MOST = 100_000;
/** How many more make it worth while to look for some to forget. */
const WORTH_A_LOOK = 1.1;

/** The retries over REST that a ledger in memory knows. */
export class MemoryRetries {
  readonly #isOver: (jobId: string | null) => boolean;
  /** In the order of their last calls. */
  readonly #entries = new Map<string, RetryEntry>();
  #many = MOST;

  /** `isOver`: no job that anybody is going to settle. */
  constructor(isOver: (jobId: string | null) => boolean) {
    this.#isOver = isOver;
  }

  begin(keys: readonly { key: string; jobId: string | null }[], calledAt: Date): Map<string, RetryEntry> {
    const before = new Map<string, RetryEntry>();
    for (const { key } of keys) {
      const known = this.#entries.get(key);
      if (known !== undefined) before.set(key, structuredClone(known));
    }
    for (const { key, jobId } of keys) {
      const known = before.get(key);
      if (known !== undefined && known.state !== 'failed') continue;
      const attempts = known?.attempts ?? [];
      this.#entries.delete(key);
      this.#entries.set(key, { key, jobId, state: 'calling', sfId: null, attempts, calledAt });
    }
    if (this.#entries.size > this.#many) this.forgetOldest(calledAt);
    return before;
  }

  known({ keys, sfIds }: { keys: readonly string[]; sfIds: readonly string[] }): RetryEntry[] {
    const [wanted, records] = [new Set(keys), new Set<string | null>(sfIds)];
    const known = [...this.#entries.values()].filter(({ key, sfId }) => wanted.has(key) || records.has(sfId));
    return structuredClone(known);
  }

  end(outcomes: readonly RetryOutcome[], isCurrent: boolean): void {
    for (const { key, state, sfId, attempts } of lastOfEach(outcomes)) {
      const entry = this.#entries.get(key);
      if (entry && takesOutcome(entry.state, state, isCurrent))
        Object.assign(entry, { state, sfId, attempts: structuredClone(attempts) });
    }
  }

  /** As long as there are too many. */
  forgetOldest(now: Date): void {
    const before = now.getTime() - SECOND_DELIVERY_MS;
    for (const { key, jobId, calledAt } of this.#entries.values()) {
      if (this.#entries.size <= MOST || calledAt.getTime() > before) break;
      if (this.#isOver(jobId)) this.#entries.delete(key);
    }
    this.#many = Math.max(MOST, this.#entries.size) * WORTH_A_LOOK;
  }

  /** Those that were called before that time and are of no job that the ledger has. */
  prune(before: number, hasJob: (jobId: string) => boolean): void {
    for (const { key, jobId, calledAt } of this.#entries.values()) {
      const orphaned = jobId === null || !hasJob(jobId);
      if (orphaned && calledAt.getTime() < before) this.#entries.delete(key);
    }
  }
}
