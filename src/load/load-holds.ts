import type { LoadHold, LoadKey } from '../database/ledger/job-ledger.ts';
import { runningElsewhere, stale } from './load-errors.ts';
import type { LoadOptions } from './load-options.ts';

/** The right to run one load: which load it is in the ledger, who may have it now, and for which rows. */
export class LoadHolds {
  readonly #options: LoadOptions;
  readonly #closing: AbortSignal;
  #key: LoadKey | undefined;

  constructor(options: LoadOptions, closing: AbortSignal) {
    this.#options = options;
    this.#closing = closing;
  }

  async key(): Promise<LoadKey> {
    const { connection, loadName } = this.#options;
    this.#key ??= {
      orgId: (await connection.session.identity({ signal: this.#closing })).orgId,
      loadName,
    };
    return this.#key;
  }

  /** @throws LoadError LOAD_ALREADY_RUNNING when somebody else has it */
  async acquire(): Promise<LoadHold> {
    this.#closing.throwIfAborted();
    const hold = await this.acquireIfFree();
    if (hold) return hold;
    const { connection, loadName } = this.#options;
    throw runningElsewhere(loadName, connection.loads.isHeld(loadName));
  }

  /** One that a deploy has kept is taken before the ledger is asked. */
  async acquireIfFree(): Promise<LoadHold | undefined> {
    const { connection, loadName } = this.#options;
    const load = await this.key();
    return connection.keptHolds.take(loadName) ?? connection.ledger.acquire(load);
  }

  /**
   * Rows that were read before the last run ended may have been loaded or dead-lettered by it, unless it received none (design
   * §7.1).
   *
   * @throws LoadError LOAD_STALE
   */
  async refuseStale(openedAt: number | undefined): Promise<void> {
    if (openedAt === undefined) return;
    const { connection, loadName } = this.#options;
    const endedAt = await connection.ledger.lastRunEndedAt(await this.key());
    if (!endedAt) return;
    const ahead = (await connection.ledger.now()).getTime() - connection.clock.now();
    if (openedAt + ahead <= endedAt.getTime()) throw stale(loadName, endedAt);
  }
}
