import type { Clock } from '../../src/clock.ts';

interface Sleeper {
  at: number;
  order: number;
  wake: () => void;
}

/**
 * A clock that only moves when a test says so. Sleepers are woken in the order of their time; between two of them what they
 * started gets its turn, so that a sleep begun by the first may still come before the second.
 */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  readonly #sleepers = new Set<Sleeper>();
  /** The length of every sleep that was asked for, in order. */
  readonly slept: number[] = [];

  constructor(start: number | string = '2026-01-01T02:00:00Z') {
    this.#now = typeof start === 'string' ? Date.parse(start) : start;
  }

  now(): number {
    return this.#now;
  }

  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        at: this.#now + Math.max(0, ms),
        order: this.#order++,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Moves on by `ms`, waking everyone who is due on the way. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await turns();
    for (let next = this.#next(target); next !== undefined; next = this.#next(target)) {
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      await turns();
    }
    this.#now = target;
  }

  /**
   * Moves from sleeper to sleeper until the promise is settled. Real work (HTTP on 127.0.0.1, files) is given its time
   * first: a sleeper is woken only when nothing new has happened for `quietMs` of real time.
   */
  async runUntil<T>(promise: Promise<T>, quietMs = 10): Promise<T> {
    let settled = false;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => {});
    while (!settled) {
      const before = this.#order;
      await Promise.race([done.catch(() => {}), realTime(quietMs)]);
      const next = this.#next(Number.POSITIVE_INFINITY);
      if (settled || next === undefined || this.#order !== before) continue;
      this.#now = Math.max(this.#now, next.at);
      next.wake();
      await turns();
    }
    return done;
  }

  #next(until: number): Sleeper | undefined {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.at > until) continue;
      if (
        next === undefined ||
        sleeper.at < next.at ||
        (sleeper.at === next.at && sleeper.order < next.order)
      ) {
        next = sleeper;
      }
    }
    return next;
  }
}

/** Some turns of the event loop, so that what was woken can do what needs no real time. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function realTime(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
