import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** Below this a timer is not worth setting: the debt is kept for the next chunk. */
const SHORTEST_SLEEP_MS = 5;
/** Turns of the event loop between which the org may work without looking at its sockets. */
const LONGEST_BUSY_MS = 8;

/** Holds a job to its speed, and lets the event loop breathe where there is none. */
export class Pace {
  readonly #perSecond: number;
  readonly #signal: AbortSignal;
  readonly #startedAt = performance.now();
  #records = 0;
  #busySince = performance.now();

  constructor(recordsPerSecond: number, signal: AbortSignal) {
    this.#perSecond = recordsPerSecond;
    this.#signal = signal;
  }

  async after(records: number): Promise<void> {
    this.#records += records;
    const due = this.#startedAt + (this.#records / this.#perSecond) * 1000;
    const wait = due - performance.now();
    if (wait >= SHORTEST_SLEEP_MS) {
      await sleep(wait, undefined, { signal: this.#signal });
    } else if (performance.now() - this.#busySince >= LONGEST_BUSY_MS) {
      await nextTurn();
    } else {
      return;
    }
    this.#busySince = performance.now();
  }
}
