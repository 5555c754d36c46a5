import type { LedgerJob, LoadHold } from '../database/ledger/job-ledger.ts';

/** A load that this process runs, as the nodes behind it need it. */
export interface RunningLoad {
  readonly loadName: string;
  readonly hold: LoadHold | undefined;
  carryOn(known: LedgerJob): Promise<void>;
}

/** The loads of one connection in this process. */
export class RunningLoads {
  readonly #loads = new Set<RunningLoad>();
  readonly #closing = new Set<Promise<void>>();
  #arrival = Promise.withResolvers<void>();
  #departure = Promise.withResolvers<void>();

  register(load: RunningLoad): void {
    this.#loads.add(load);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }

  /** The load begins to close, and has closed when `closed` settles. */
  deregister(load: RunningLoad, closed: Promise<void>): void {
    this.#loads.delete(load);
    this.#closing.add(closed);
    const forget = () => this.#closing.delete(closed);
    closed.then(forget, forget);
    this.#departure.resolve();
    this.#departure = Promise.withResolvers();
  }

  /** Of two flows with the same load in one Node-RED the one that holds it counts; of none that holds it, the first. */
  of({ load }: LedgerJob): RunningLoad | undefined {
    const same = [...this.#loads].filter(({ loadName }) => loadName === load.loadName);
    return same.find(({ hold }) => hold !== undefined) ?? same[0];
  }

  /** A node of this connection runs the load. */
  isHeld(loadName: string): boolean {
    return [...this.#loads].some((load) => load.loadName === loadName && load.hold !== undefined);
  }

  /** Resolves when the next one registers. */
  get arrival(): Promise<void> {
    return this.#arrival.promise;
  }

  async untilClosed(): Promise<void> {
    while (this.#loads.size > 0) await this.#departure.promise;
    await Promise.allSettled(this.#closing);
  }
}
