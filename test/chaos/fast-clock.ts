import { type Clock, systemClock } from '../../src/clock.ts';

/** Time that passes `factor` times as fast as on the wall, for what waits seconds and minutes between real requests. */
export class FastClock implements Clock {
  readonly #factor: number;
  readonly #start = Date.now();
  readonly #origin = performance.now();

  constructor(factor: number) {
    this.#factor = factor;
  }

  now(): number {
    return this.#start + (performance.now() - this.#origin) * this.#factor;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(Math.max(0, ms) / this.#factor, signal);
  }
}
