import pg from 'pg';
import { reasonOf } from '../errors.ts';
import { columnTypes } from './column-types.ts';
import { type Address, asConnectError, asDatabaseError, DatabaseError } from './database-error.ts';

export interface Statement {
  text: string;
  values?: unknown[];
  /** Rows as arrays, for queries whose column names may repeat. */
  rowMode?: 'array';
  /** Prepared by the server even without values: it then refuses more than one statement. */
  queryMode?: 'extended';
  /** How much of `text` was put before what a person wrote: places in errors are counted from there. */
  prefix?: string;
}

/** What texts look like must not depend on how the server, the database or the role is set. */
const SETTINGS = "SET datestyle TO 'ISO'; SET intervalstyle TO 'postgres'";

const CANCEL_PATIENCE_MS = 2_000;

/** One connection to PostgreSQL. Its errors are `DatabaseError`s. */
export class Session {
  /** The driver's client, for protocols that it alone speaks (COPY). Its errors are raw. */
  readonly client: pg.Client;
  readonly address: Address;
  readonly #lost = new AbortController();

  constructor(config: pg.ClientConfig, address: Address) {
    this.client = new pg.Client({ ...config, types: columnTypes });
    forgetEnvironment(this.client);
    this.address = address;
    // A connection that breaks while no statement runs; the next statement says so too.
    this.client.on('error', (error) => this.#lose(error));
    this.client.on('end', () => this.#lose(new Error('Connection terminated')));
  }

  /** Aborted, with a DatabaseError, when the connection is gone. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The server's process id of this session. */
  get pid(): number {
    return (this.client as pg.Client & { processID: number }).processID;
  }

  /** False inside a transaction. */
  get isIdle(): boolean {
    return this.client.getTransactionStatus() === 'I';
  }

  async open(): Promise<this> {
    try {
      await this.client.connect();
      await this.client.query(SETTINGS);
      return this;
    } catch (error) {
      this.destroy();
      throw asConnectError(error, this.address);
    }
  }

  async query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: string | Statement,
    values?: unknown[],
  ): Promise<pg.QueryResult<R>> {
    const { prefix = '', ...asked }: Statement =
      typeof statement === 'string' ? { text: statement } : statement;
    try {
      return await this.client.query<R>({ ...asked, ...(values === undefined ? {} : { values }) });
    } catch (error) {
      throw asDatabaseError(error, this.address, prefix.length);
    }
  }

  /** All of `fn` or nothing: COMMIT at its end, ROLLBACK when it throws. */
  async transaction<T>(fn: () => Promise<T>, begin = 'BEGIN'): Promise<T> {
    await this.query(begin);
    try {
      const result = await fn();
      await this.query('COMMIT');
      return result;
    } catch (error) {
      await this.#rollback();
      throw error;
    }
  }

  /** Ends in good order; a connection that does not answer is cut. */
  async close(): Promise<void> {
    const cut = setTimeout(() => this.destroy(), CANCEL_PATIENCE_MS);
    await this.client.end().catch((error) => this.#lose(error));
    clearTimeout(cut);
  }

  /** Cuts the connection at once. */
  destroy(): void {
    this.#lose(new Error('Connection terminated'));
    const { connection } = this.client as pg.Client & { connection: { stream: { destroy(): void } } };
    connection.stream.destroy();
  }

  /** A session whose rollback fails is not to be used again. */
  async #rollback(): Promise<void> {
    try {
      await this.client.query('ROLLBACK');
    } catch {
      this.destroy();
    }
  }

  #lose(error: unknown): void {
    if (this.#lost.signal.aborted) return;
    const known = asDatabaseError(error, this.address);
    const reason = known instanceof DatabaseError ? known : brokenConnection(this.address, error);
    this.#lost.abort(reason);
  }
}

function brokenConnection({ host, port, database }: Address, cause: unknown): DatabaseError {
  return new DatabaseError(
    'DB_UNAVAILABLE',
    `The connection to PostgreSQL at ${host}:${port}/${database} broke: ${reasonOf(cause)}.`,
    { sqlState: null, retryable: true },
  );
}

/**
 * The driver takes these from PGOPTIONS and PGREPLICATION whenever the configuration has nothing to send in their place
 * (pg 8.23, connection-parameters.js), and older PgBouncers refuse any that is sent.
 */
function forgetEnvironment(client: pg.Client): void {
  const { connectionParameters } = client as pg.Client & {
    connectionParameters: { options?: unknown; replication?: unknown };
  };
  connectionParameters.options = undefined;
  connectionParameters.replication = undefined;
}
