import type { Clock } from '../clock.ts';
import { DatabaseError } from './database-error.ts';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

export interface RetryOptions {
  clock: Clock;
  signal?: AbortSignal | undefined;
  /** Gives up, with the last error, when this much time has passed. Default: never. */
  maxMs?: number;
  /** Hears of each failure that is waited out, so that a status can say so. */
  onWait?: (error: DatabaseError, waitMs: number) => void;
}

/**
 * Does `fn` again, with growing pauses, while the database is away or undoes the statement (deadlock, disk full: see
 * `DatabaseError.retryable`). `fn` must bear being done twice: the answer to a statement that took may be lost.
 */
export async function retryWhileUnavailable<T>(fn: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, signal, maxMs = Number.POSITIVE_INFINITY, onWait } = options;
  const start = clock.now();
  for (let tries = 0; ; tries += 1) {
    signal?.throwIfAborted();
    try {
      return await fn();
    } catch (error) {
      const left = start + maxMs - clock.now();
      if (!(error instanceof DatabaseError) || !error.retryable || left <= 0) throw error;
      const wait = Math.min(pause(tries), left);
      onWait?.(error, wait);
      await clock.sleep(wait, signal);
    }
  }
}

/** Half of it fixed, half random: clients that lost the server together do not come back together. */
function pause(tries: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(tries, 10));
  return full / 2 + (Math.random() * full) / 2;
}
