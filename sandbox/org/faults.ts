import type { Random } from './random.ts';

/**
 * - `drop-before`: the socket is destroyed and nothing happened. `drop-after`: it happened, and the answer is lost.
 * - `cut`: the answer breaks off after `bytes`. `end-early`: it ends properly after `bytes`, as if that were all.
 * - `cut-upload`: the socket is destroyed when `bytes` of the request have arrived.
 * - `delay`: the answer comes after `ms`. `hang`: it never comes.
 * - `throttle`: the request is read at `bytesPerSecond` (`direction: 'down'`: the answer is sent at it).
 * - `status`: `status`, `body`, `headers` instead of the answer; with `bytes` after that much of the request was read.
 */
export type FaultKind =
  | 'drop-before'
  | 'drop-after'
  | 'cut'
  | 'end-early'
  | 'cut-upload'
  | 'delay'
  | 'hang'
  | 'throttle'
  | 'status';

export interface Fault {
  kind: FaultKind;
  method?: string;
  /** Matches the path (with the query), anywhere in it unless anchored. */
  path?: RegExp | string;
  /** Strikes the nth request that matches, counted from when the fault was added. */
  nth?: number;
  /** Strikes the matching requests from … to (both included; no `to`: all from there on). */
  from?: number;
  to?: number;
  /** Strikes each matching request with this probability, by the org's seeded dice. */
  probability?: number;
  /** Strikes at most so often. */
  times?: number;
  bytes?: number;
  ms?: number;
  bytesPerSecond?: number;
  direction?: 'up' | 'down';
  status?: number;
  /** Text as it is; anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
}

interface Entry {
  id: number;
  fault: Fault;
  path: RegExp | undefined;
  matched: number;
  struck: number;
}

/** The faults that requests will meet. All that match strike; of one kind the first counts. */
export class Faults {
  readonly #random: Random;
  #entries: Entry[] = [];
  #count = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Adds a fault and returns its number. */
  add(fault: Fault): number {
    this.#count++;
    const path = fault.path === undefined ? undefined : new RegExp(fault.path);
    this.#entries.push({ id: this.#count, fault, path, matched: 0, struck: 0 });
    return this.#count;
  }

  remove(id: number): void {
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
  }

  clear(): void {
    this.#entries = [];
  }

  /** How often a fault has struck. */
  struck(id: number): number {
    return this.#entries.find((entry) => entry.id === id)?.struck ?? 0;
  }

  list(): { id: number; matched: number; struck: number; fault: Fault }[] {
    return this.#entries.map(({ id, matched, struck, fault, path }) => ({
      id,
      matched,
      struck,
      fault: { ...fault, ...(path ? { path: path.source } : {}) },
    }));
  }

  /** Called by the server for each request: the faults that strike it. */
  strike(method: string, url: string): Fault[] {
    const struck: Fault[] = [];
    for (const entry of this.#entries) {
      const { fault, path } = entry;
      const matches = (fault.method ?? method) === method && (path?.test(url) ?? true);
      if (!matches) {
        continue;
      }
      entry.matched++;
      if (this.#isDue(entry)) {
        entry.struck++;
        struck.push(fault);
      }
    }
    return struck;
  }

  #isDue({ fault, matched, struck }: Entry): boolean {
    if (fault.times !== undefined && struck >= fault.times) {
      return false;
    }
    const first = fault.nth ?? fault.from ?? 1;
    const last = fault.nth ?? fault.to ?? Number.POSITIVE_INFINITY;
    const isInRange = matched >= first && matched <= last;
    return isInRange && (fault.probability === undefined || this.#random() < fault.probability);
  }
}
