import { once } from 'node:events';
import type pg from 'pg';
import { type Clock, systemClock } from '../clock.ts';
import { clientConfig, type DatabaseConfig } from './database-config.ts';
import { type Address, DatabaseError } from './database-error.ts';
import { Session, type Statement } from './session.ts';

const APPLICATION = 'salesforce-bulk';
const IDLE_MS = 30_000;
const CLOSE_GRACE_MS = 5_000;
const CANCEL_PATIENCE_MS = 2_000;

interface Waiter {
  resolve(session: Promise<Session>): void;
}

/**
 * A PostgreSQL database and a pool of connections to it. Errors are `DatabaseError`s: `DB_UNAVAILABLE` names the address
 * and what to do, `DB_QUERY_FAILED` has the server's SQLSTATE, message and hint, and no content of rows.
 */
export class Database {
  readonly address: Address;
  readonly #config: DatabaseConfig;
  readonly #clock: Clock;
  readonly #idle: Session[] = [];
  readonly #busy = new Set<Session>();
  readonly #own = new Set<Session>();
  readonly #waiting: Waiter[] = [];
  readonly #users = new Set<Promise<void>>();
  #opening = 0;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(config: DatabaseConfig, clock: Clock = systemClock) {
    const { host, port, database, user } = config;
    this.#config = config;
    this.#clock = clock;
    this.address = { host, port, database, user };
  }

  /** One statement. `signal` cancels it on the server. */
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: string | Statement,
    values?: unknown[],
    signal?: AbortSignal,
  ): Promise<pg.QueryResult<R>> {
    return this.withSession((session) => session.query<R>(statement, values), signal);
  }

  /**
   * Several statements on one connection. When `signal` is aborted, the one that runs is cancelled on the server; a connection
   * that has fallen silent is cut.
   */
  async withSession<T>(fn: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const session = await this.#take(signal);
    let late: NodeJS.Timeout | undefined;
    const stopListening = onAbort(signal, () => {
      void this.cancel(session);
      late = setTimeout(() => session.destroy(), CANCEL_PATIENCE_MS);
    });
    try {
      return await fn(session);
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      stopListening();
      clearTimeout(late);
      // A cancel under way may hit whatever the session does next.
      if (signal?.aborted || !session.isIdle) session.destroy();
      this.#giveBack(session);
    }
  }

  transaction<T>(fn: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.withSession((session) => session.transaction(() => fn(session)), signal);
  }

  /**
   * A connection beside the pool, for what holds one for long: a select, a lock. The caller closes it. `label` tells
   * connections apart in pg_stat_activity.
   */
  async openSession(label: string, signal?: AbortSignal): Promise<Session> {
    this.#refuseWhenClosed();
    const session = await this.#connect(`${APPLICATION} ${label}`, signal);
    this.#own.add(session);
    onAbort(session.lost, () => this.#own.delete(session));
    return session;
  }

  /** Cancels the statement that the session runs; when that cannot be done, cuts the connection. */
  async cancel(session: Session): Promise<void> {
    const helper = new Session(clientConfig(this.#config, `${APPLICATION} cancel`), this.address);
    const late = setTimeout(() => helper.destroy(), CANCEL_PATIENCE_MS);
    try {
      await helper.open();
      await helper.query('SELECT pg_cancel_backend($1)', [session.pid]);
      await helper.close();
    } catch {
      // The caller hears from the statement itself, which fails either way.
      session.destroy();
    } finally {
      clearTimeout(late);
    }
  }

  /** Proves address, user and password, and says what answered. */
  async test(
    signal?: AbortSignal,
  ): Promise<{ version: string; user: string; database: string; schema: string | null }> {
    const { rows } = await this.query<{
      version: string;
      user: string;
      database: string;
      schema: string | null;
    }>(
      `SELECT current_setting('server_version') AS version, current_user::text AS "user",
              current_database()::text AS "database", current_schema()::text AS "schema"`,
      undefined,
      signal,
    );
    return rows[0] as { version: string; user: string; database: string; schema: string | null };
  }

  /**
   * For who closes at the same time and writes down how things stand at the end: until the function that is returned is
   * called, `close` waits, and statements are still taken.
   */
  use(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#users.add(promise);
    return () => {
      this.#users.delete(promise);
      resolve();
    };
  }

  /**
   * Waits for those who use it, then lets running statements end and takes no new ones. After `graceMs` in all it waits for
   * nobody any more, and cuts the connections.
   */
  close(graceMs = CLOSE_GRACE_MS): Promise<void> {
    this.#closing ??= this.#drain(graceMs);
    return this.#closing;
  }

  async #drain(graceMs: number): Promise<void> {
    const done = new AbortController();
    const late = this.#clock.sleep(graceMs, done.signal).catch(() => undefined);
    if (this.#users.size > 0) await Promise.race([Promise.all(this.#users), late]);
    this.#isClosed = true;
    this.#refuseWaiting(this.#closedError());
    const idle = this.#idle.splice(0).map((session) => session.close());
    const open = [...this.#busy, ...this.#own];
    const ended = Promise.all(open.map(({ lost }) => lost.aborted || once(lost, 'abort')));
    await Promise.race([ended, late]);
    done.abort();
    for (const session of open) session.destroy();
    await Promise.all(idle);
  }

  async #take(signal: AbortSignal | undefined): Promise<Session> {
    this.#refuseWhenClosed();
    const idle = this.#nextIdle();
    if (idle !== undefined) {
      this.#busy.add(idle);
      return idle;
    }
    if (this.#busy.size + this.#opening >= this.#config.poolSize) return this.#wait(signal);
    return this.#open(signal);
  }

  #nextIdle(): Session | undefined {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (!session.lost.aborted) return session;
    }
    return undefined;
  }

  async #open(signal?: AbortSignal): Promise<Session> {
    this.#opening += 1;
    try {
      const session = await this.#connect(APPLICATION, signal);
      this.#busy.add(session);
      return session;
    } catch (error) {
      // Nobody will give a connection back to those who wait for one.
      if (this.#busy.size === 0 && this.#opening === 1) this.#handOn(error, signal);
      throw error;
    } finally {
      this.#opening -= 1;
    }
  }

  async #connect(name: string, signal: AbortSignal | undefined): Promise<Session> {
    signal?.throwIfAborted();
    const session = new Session(clientConfig(this.#config, name), this.address);
    const stopListening = onAbort(signal, () => session.destroy());
    try {
      await session.open();
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      stopListening();
    }
    if (!this.#isClosed) return session;
    await session.close();
    throw this.#closedError();
  }

  /** One that was told to stop says nothing about the database: the next in line tries. */
  #handOn(error: unknown, signal: AbortSignal | undefined): void {
    if (signal?.aborted) this.#waiting.shift()?.resolve(this.#open());
    else this.#refuseWaiting(error);
  }

  #refuseWaiting(error: unknown): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(Promise.reject(error));
  }

  #wait(signal: AbortSignal | undefined): Promise<Session> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: (session) => {
          stopListening();
          resolve(session);
        },
      };
      const stopListening = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason);
      });
      this.#waiting.push(waiter);
    });
  }

  #giveBack(session: Session): void {
    this.#busy.delete(session);
    if (this.#isClosed) {
      void session.close();
      return;
    }
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next.resolve(session.lost.aborted ? this.#open() : this.#lend(session));
      return;
    }
    if (!session.lost.aborted) this.#rest(session);
  }

  async #lend(session: Session): Promise<Session> {
    this.#busy.add(session);
    return session;
  }

  #rest(session: Session): void {
    this.#idle.push(session);
    const timer = setTimeout(() => {
      const at = this.#idle.indexOf(session);
      if (at < 0) return;
      this.#idle.splice(at, 1);
      void session.close();
    }, IDLE_MS);
    timer.unref();
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw this.#closedError();
  }

  #closedError(): DatabaseError {
    const { host, port, database } = this.address;
    return new DatabaseError(
      'DB_UNAVAILABLE',
      `The connections to ${host}:${port}/${database} were closed.`,
      {
        sqlState: null,
        retryable: false,
      },
    );
  }
}

function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal?.aborted) listener();
  signal?.addEventListener('abort', listener, { once: true });
  return () => signal?.removeEventListener('abort', listener);
}
