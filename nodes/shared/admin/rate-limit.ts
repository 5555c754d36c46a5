import type { Clock } from '../../../src/clock.ts';

/** How often a person, or a script that has a person's rights, may ask. */
export interface Bounds {
  /** Calls begun within any `perMs`. */
  calls: number;
  perMs: number;
  /** Calls under way at the same time. */
  atOnce: number;
}

/** Admits calls within its bounds, counted apart for each key. */
export class RateLimit {
  readonly #bounds: Bounds;
  readonly #clock: Clock;
  readonly #begun = new Map<string, number[]>();
  readonly #underWay = new Map<string, number>();

  constructor(bounds: Bounds, clock: Clock) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** A function to call when the work has ended; undefined when it may not begin. */
  begin(key: string): (() => void) | undefined {
    const now = this.#clock.now();
    this.#forget(now);
    const begun = this.#begun.get(key) ?? [];
    const underWay = this.#underWay.get(key) ?? 0;
    if (begun.length >= this.#bounds.calls || underWay >= this.#bounds.atOnce) return undefined;
    this.#begun.set(key, [...begun, now]);
    this.#underWay.set(key, underWay + 1);
    return () => this.#end(key);
  }

  #end(key: string): void {
    const left = (this.#underWay.get(key) ?? 1) - 1;
    if (left > 0) this.#underWay.set(key, left);
    else this.#underWay.delete(key);
  }

  #forget(now: number): void {
    for (const [key, times] of this.#begun) {
      const recent = times.filter((time) => now - time < this.#bounds.perMs);
      if (recent.length > 0) this.#begun.set(key, recent);
      else this.#begun.delete(key);
    }
  }
}
