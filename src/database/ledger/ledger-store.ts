import type pg from 'pg';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../log.ts';
import { DatabaseError } from '../database-error.ts';
import { migrate } from '../migrate.ts';
import type { Database } from '../pool.ts';
import { retryWhileUnavailable } from '../retry-while-unavailable.ts';

/**
 * Statements on the ledger's tables: makes the tables first, waits while the database is away. Until `close` the database is
 * in use.
 */
export class LedgerStore {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly #maxWaitMs: number;
  readonly #closed = new AbortController();
  readonly #stopUsing: () => void;
  #ready: Promise<void> | undefined;
  #isWaiting = false;

  constructor(db: Database, options: { clock: Clock; log: Logger; maxWaitMs: number }) {
    this.db = db;
    this.clock = options.clock;
    this.log = options.log;
    this.#maxWaitMs = options.maxWaitMs;
    this.#stopUsing = db.use();
  }

  /** Aborted when the ledger is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** The statement must bear being run twice: after a lost connection nobody knows whether it took. */
  async rows<R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> {
    return this.patiently(async () => (await this.db.query<R>(text, values)).rows);
  }

  /** Does `fn`, with the tables in place, again and again while the database is away. */
  patiently<T>(fn: () => Promise<T>): Promise<T> {
    const attempt = async () => {
      await this.#prepare();
      const result = await fn();
      this.#isWaiting = false;
      return result;
    };
    return retryWhileUnavailable(attempt, {
      clock: this.clock,
      signal: this.closed,
      maxMs: this.#maxWaitMs,
      onWait: (error) => this.#sayWaiting(error),
    });
  }

  close(): void {
    const { host, port, database } = this.db.address;
    const text = `The ledger at ${host}:${port}/${database} was closed.`;
    this.#closed.abort(new DatabaseError('DB_UNAVAILABLE', text, { sqlState: null, retryable: false }));
    this.#stopUsing();
  }

  /** Once for each time that the database is away. */
  #sayWaiting(error: DatabaseError): void {
    if (!this.#isWaiting) this.log.warn(`The ledger waits. ${error.message}`);
    this.#isWaiting = true;
  }

  #prepare(): Promise<void> {
    this.#ready ??= migrate(this.db, this.closed).catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }
}
