import type { Clock } from '../clock.ts';

/**
 * The org's clock, kept by the Date headers of its answers. Whole seconds, cut, and late by the way of the answer: it is
 * never ahead of the org by more than the drift since the last answer.
 */
export class OrgClock {
  readonly #clock: Clock;
  #aheadMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since 1970; this machine's clock as long as there was no answer. */
  now(): number {
    return this.#clock.now() + this.#aheadMs;
  }

  /** Takes the Date header of an answer that came just now. */
  read(header: string | undefined): Date | undefined {
    const at = Date.parse(header ?? '');
    if (Number.isNaN(at)) return undefined;
    this.#aheadMs = at - this.#clock.now();
    return new Date(at);
  }
}
