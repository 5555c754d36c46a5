import type { Clock } from '../clock.ts';
import { BACK_OFFS, type WaitKind, waitMs } from './retry-policy.ts';

export interface PatienceOptions {
  clock: Clock;
  random: () => number;
  /** How long an outage or a limit is waited out, from its first sign. */
  limitMs: Record<WaitKind, number>;
}

/** How long one call goes on trying. Measured by the clock and not by a count, from the first failure on. */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #since = new Map<WaitKind, number>();
  #failures = 0;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Waits and says true, or says false when the time is over. The last wait is cut so that the last try is within it. */
  async again(
    kind: WaitKind,
    options: { retryAfterMs?: number | undefined; signal?: AbortSignal | undefined },
  ): Promise<boolean> {
    const { clock, random, limitMs } = this.#options;
    const since = this.#since.get(kind) ?? clock.now();
    this.#since.set(kind, since);
    const left = limitMs[kind] - (clock.now() - since);
    if (left <= 0) return false;
    const wait = Math.max(waitMs(BACK_OFFS[kind], this.#failures, random), options.retryAfterMs ?? 0);
    this.#failures += 1;
    await clock.sleep(Math.min(wait, left), options.signal);
    return true;
  }
}
