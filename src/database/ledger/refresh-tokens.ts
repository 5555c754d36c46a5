import { type Clock, systemClock } from '../../clock.ts';
import { LoadError, reasonOf } from '../../errors.ts';
import { type Logger, silentLogger } from '../../log.ts';
import { seal, unseal } from '../../sealed-text.ts';
import type { DatabaseError } from '../database-error.ts';
import { migrate } from '../migrate.ts';
import type { Database } from '../pool.ts';
import { retryWhileUnavailable } from '../retry-while-unavailable.ts';
import type { Session } from '../session.ts';

/** A process that is paused in the middle of a rotation must not hold the others up for longer. */
const LONGEST_ROTATION_MS = 60_000;
const MAX_WAIT_MS = 600_000;

const MAKE_ROW = 'INSERT INTO sf_sync_token (key) VALUES ($1) ON CONFLICT (key) DO NOTHING';
const LOCK_ROW = 'SELECT sealed FROM sf_sync_token WHERE key = $1 FOR UPDATE';
const READ_ROW = 'SELECT sealed FROM sf_sync_token WHERE key = $1';
const STORE = 'UPDATE sf_sync_token SET sealed = $2, changed_at = clock_timestamp() WHERE key = $1';
const STORE_AFTER = `
  INSERT INTO sf_sync_token AS t (key, sealed) VALUES ($1, $2)
  ON CONFLICT (key) DO UPDATE SET sealed = excluded.sealed, changed_at = clock_timestamp()
  WHERE t.sealed IS NOT DISTINCT FROM $3`;

interface TokenRow {
  sealed: Buffer | null;
}

interface Waiting {
  signal?: AbortSignal | undefined;
  onWait?: ((reason: LoadError) => void) | undefined;
}

/**
 * The newest refresh token of one connection, for all processes that share the ledger: read, used and replaced under a row
 * lock. Kept encrypted; the secret never is in the database.
 */
export class PostgresRefreshTokenStore {
  readonly #db: Database;
  readonly #key: string;
  readonly #secret: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #ready: Promise<void> | undefined;
  /** Got by a rotation, and not known to be stored yet: the only copy there is. */
  #unsaved: { token: string; after: Buffer | null } | undefined;
  #isWaiting = false;

  /** `key` names the connection, `secret` seals its token. */
  constructor(db: Database, options: { key: string; secret: string; clock?: Clock; log?: Logger }) {
    if (options.secret === '')
      throw new LoadError('CONFIG_INVALID', 'There is no secret to keep refresh tokens with.');
    this.#db = db;
    this.#key = options.key;
    this.#secret = options.secret;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
  }

  /** Undefined before the first rotation. */
  async load(): Promise<string | undefined> {
    if (this.#unsaved !== undefined) return this.#unsaved.token;
    const { rows } = await this.#patiently(() => this.#db.query<TokenRow>(READ_ROW, [this.#key]));
    return this.#open(rows[0]?.sealed ?? null);
  }

  /**
   * When `rotate` rejects nothing changes. What it returns is stored, however often the database goes away meanwhile. While
   * the database is away `rotate` waits, until `signal` is aborted; `onWait` hears of it.
   */
  async update(
    rotate: (current: string | undefined) => Promise<string>,
    { signal, onWait }: Waiting = {},
  ): Promise<void> {
    await this.#save({ signal, onWait });
    await this.#patiently(() => this.#rotateOnce(rotate), { signal, onWait });
    await this.#save({ onWait });
  }

  /** Rejects only while there is no new token: once it is got the old one is dead, and nothing may be repeated. */
  async #rotateOnce(rotate: (current: string | undefined) => Promise<string>): Promise<void> {
    try {
      await this.#db.transaction((session) => this.#rotate(session, rotate));
      this.#unsaved = undefined;
    } catch (error) {
      if (this.#unsaved === undefined) throw error;
      this.#log.warn(`A new refresh token is not stored yet. ${reasonOf(error)}`);
    }
  }

  async #rotate(session: Session, rotate: (current: string | undefined) => Promise<string>): Promise<void> {
    await session.query(`SET LOCAL idle_in_transaction_session_timeout = ${LONGEST_ROTATION_MS}`);
    await session.query(MAKE_ROW, [this.#key]);
    const { rows } = await session.query<TokenRow>(LOCK_ROW, [this.#key]);
    const after = rows[0]?.sealed ?? null;
    const token = await rotate(this.#open(after));
    this.#unsaved = { token, after };
    await session.query(STORE, [this.#key, this.#seal(token)]);
  }

  /** Unless somebody has rotated since: then theirs is the newest. */
  async #save(waiting: Waiting): Promise<void> {
    const unsaved = this.#unsaved;
    if (unsaved === undefined) return;
    const values = [this.#key, this.#seal(unsaved.token), unsaved.after];
    await this.#patiently(() => this.#db.query(STORE_AFTER, values), waiting);
    this.#unsaved = undefined;
  }

  async #patiently<T>(fn: () => Promise<T>, { signal, onWait }: Waiting = {}): Promise<T> {
    const attempt = async () => {
      await this.#prepare();
      return fn();
    };
    const result = await retryWhileUnavailable(attempt, {
      clock: this.#clock,
      signal,
      maxMs: MAX_WAIT_MS,
      onWait: (error) => {
        this.#sayWaiting(error);
        onWait?.(error);
      },
    });
    this.#isWaiting = false;
    return result;
  }

  /** Once for each time that the database is away. */
  #sayWaiting(error: DatabaseError): void {
    if (!this.#isWaiting) this.#log.warn(`The refresh token waits for the ledger. ${error.message}`);
    this.#isWaiting = true;
  }

  #prepare(): Promise<void> {
    this.#ready ??= migrate(this.#db).catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  #seal(token: string): Buffer {
    return seal(token, this.#key, this.#secret);
  }

  #open(sealed: Buffer | null): string | undefined {
    if (sealed === null) return undefined;
    try {
      return unseal(sealed, this.#key, this.#secret);
    } catch (error) {
      // Sealed with another secret: the token that a person entered may still work, and is tried.
      this.#log.warn(
        `The stored refresh token cannot be read (${reasonOf(error)}); the one of the credentials is used.`,
      );
      return undefined;
    }
  }
}
