import { randomBytes } from 'node:crypto';
import { reasonOf } from '../../errors.ts';
import { DatabaseError } from '../database-error.ts';
import type { Session } from '../session.ts';
import { brokenOff } from './broken-off.ts';
import type { LoadHold, LoadKey } from './job-ledger.ts';
import type { LedgerStore } from './ledger-store.ts';

const HEARTBEAT_MS = 15_000;
const HEARTBEAT_PATIENCE_MS = 10_000;
/** By the machine's clock, as Node-RED counts: a redeploy has ten seconds in all, and a load's next trigger waits for this. */
const RELEASE_PATIENCE_MS = 2_000;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/**
 * The server must notice a holder whose machine is gone, and must not end a session for being idle. Settings that a version
 * of PostgreSQL does not have are left out.
 */
const SESSION_SETTINGS = `
  SELECT set_config(name, value, false)
  FROM pg_settings
  JOIN (VALUES ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
               ('idle_session_timeout', '0')) AS wanted (name, value) USING (name)`;

const RAISE_EPOCH = `
  INSERT INTO sf_sync_load AS l (org_id, load_name) VALUES ($1, $2)
  ON CONFLICT (org_id, load_name) DO UPDATE SET epoch = l.epoch + 1
  RETURNING epoch`;

/** Each schema has loads of its own. Advisory locks are of one database, and share their numbers with everybody in it. */
const NUMBER = "hashtextextended(json_build_array('sf_sync', current_schema(), $1::text, $2::text)::text, 0)";

const TRY_LOCK = `SELECT pg_try_advisory_lock(${NUMBER}) AS locked`;

const EPOCH = 'SELECT epoch FROM sf_sync_load WHERE org_id = $1 AND load_name = $2';

/** pg_locks shows a lock's number in two halves. */
const HOLDER = `
  SELECT a.pid, coalesce(a.application_name, '') AS name
  FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid), ${NUMBER} AS number
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::bigint = (number >> 32) & 4294967295 AND l.objid::bigint = number & 4294967295`;

/**
 * A session advisory lock on a connection of its own, and the epoch that it raised. PostgreSQL frees the lock when the
 * process dies, and keeps it while the process is paused. When the connection breaks, the lock is taken again; the hold is
 * lost only when the epoch moved or somebody else has the lock by then.
 */
export class LoadLock implements LoadHold {
  readonly load: LoadKey;
  readonly epoch: number;
  readonly #store: LedgerStore;
  readonly #label: string;
  readonly #lost = new AbortController();
  readonly #released = new AbortController();
  #session: Session | undefined;

  private constructor(store: LedgerStore, load: LoadKey, label: string, session: Session, epoch: number) {
    this.#store = store;
    this.load = load;
    this.#label = label;
    this.#session = session;
    this.epoch = epoch;
    void this.#watch(session);
  }

  /** Waits while the database is away. Undefined when another session has the lock. */
  static take(store: LedgerStore, load: LoadKey): Promise<LoadLock | undefined> {
    const label = `lock ${randomBytes(6).toString('hex')}`;
    return store.patiently(async () => {
      const session = await lockSession(store, label, load, store.closed);
      if (session === undefined) return undefined;
      try {
        const { rows } = await session.query<{ epoch: string }>(RAISE_EPOCH, keyOf(load));
        return new LoadLock(store, { ...load }, label, session, Number(rows[0]?.epoch));
      } catch (error) {
        session.destroy();
        throw error;
      }
    });
  }

  get isReleased(): boolean {
    return this.#released.signal.aborted;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** A connection that does not answer is cut; the server frees the lock when it sees that. */
  async release(): Promise<void> {
    if (this.#released.signal.aborted) return;
    this.#released.abort();
    const session = this.#session;
    if (session === undefined) return;
    const cut = setTimeout(() => session.destroy(), RELEASE_PATIENCE_MS);
    // The connection's end would free it too, but not before the server has seen it.
    await session.query('SELECT pg_advisory_unlock_all()').catch(() => session.destroy());
    clearTimeout(cut);
    await session.close();
  }

  /** Until the lock is released or lost for good. */
  async #watch(first: Session): Promise<void> {
    this.#session = first;
    while (this.#session !== undefined) {
      await this.#untilBroken(this.#session);
      if (this.#isOver()) return;
      this.#store.log.warn(
        `The lock of load "${this.load.loadName}" lost its connection; it is taken again.`,
      );
      this.#session = undefined;
      this.#session = await this.#takeAgain();
    }
  }

  async #untilBroken(session: Session): Promise<void> {
    const stop = AbortSignal.any([session.lost, this.#released.signal]);
    while (!stop.aborted) {
      await this.#store.clock.sleep(HEARTBEAT_MS, stop).catch(() => undefined);
      if (!stop.aborted) await this.#beat(session, stop);
    }
  }

  /** A connection that the network swallowed breaks only when something is sent on it. */
  async #beat(session: Session, stop: AbortSignal): Promise<void> {
    const answered = new AbortController();
    const patience = this.#store.clock
      .sleep(HEARTBEAT_PATIENCE_MS, AbortSignal.any([stop, answered.signal]))
      .then(() => session.destroy())
      .catch(() => undefined);
    await session.query('SELECT 1').catch(() => session.destroy());
    answered.abort();
    await patience;
  }

  /** The new session, or undefined when the hold is over. */
  async #takeAgain(): Promise<Session | undefined> {
    for (let tries = 0; !this.#isOver(); tries += 1) {
      try {
        return await this.#tryAgain();
      } catch (error) {
        if (tries === 0 && !this.#isOver()) this.#store.log.warn(reasonOf(error));
      }
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(tries, 10));
      await this.#store.clock.sleep(wait, this.#released.signal).catch(() => undefined);
    }
    return undefined;
  }

  async #tryAgain(): Promise<Session | undefined> {
    const session = await lockSession(this.#store, this.#label, this.load, this.#released.signal);
    try {
      const { rows } = session
        ? await session.query<{ epoch: string }>(EPOCH, keyOf(this.load))
        : { rows: [] };
      if (session === undefined || Number(rows[0]?.epoch) !== this.epoch)
        this.#lost.abort(brokenOff(this.load));
      if (!this.#isOver()) return session;
      await session?.close();
      return undefined;
    } catch (error) {
      session?.destroy();
      throw error;
    }
  }

  #isOver(): boolean {
    return this.#released.signal.aborted || this.#lost.signal.aborted;
  }
}

/** A session that has the lock; undefined when somebody else has it. */
async function lockSession(
  store: LedgerStore,
  label: string,
  load: LoadKey,
  signal: AbortSignal,
): Promise<Session | undefined> {
  const session = await store.db.openSession(label, signal);
  try {
    await session.query(SESSION_SETTINGS);
    const { rows } = await session.query<{ locked: boolean }>(TRY_LOCK, keyOf(load));
    if (rows[0]?.locked === true) return session;
    await endOwnRemains(session, label, load);
    await session.close();
    return undefined;
  } catch (error) {
    session.destroy();
    throw error;
  }
}

/** The holder may be a former session of ours, whose end the server has not seen yet. Then the lock is soon free. */
async function endOwnRemains(session: Session, label: string, load: LoadKey): Promise<void> {
  const { rows } = await session.query<{ pid: number; name: string }>(HOLDER, keyOf(load));
  const holder = rows[0];
  if (holder !== undefined && !holder.name.endsWith(label)) return;
  if (holder !== undefined) await session.query('SELECT pg_terminate_backend($1)', [holder.pid]);
  const text = 'The lock of the load is not free yet: a former connection still ends.';
  throw new DatabaseError('DB_UNAVAILABLE', text, { sqlState: null, retryable: true });
}

function keyOf({ orgId, loadName }: LoadKey): string[] {
  return [orgId, loadName];
}
