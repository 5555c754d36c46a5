import { type Org, type OrgOptions, startOrg } from '../../sandbox/org/org.ts';
import type { Clock } from '../../src/clock.ts';
import { PostgresLedger } from '../../src/database/ledger/postgres-ledger.ts';
import { PostgresRefreshTokenStore } from '../../src/database/ledger/refresh-tokens.ts';
import { Database } from '../../src/database/pool.ts';
import { SalesforceConnection } from '../../src/load/connection.ts';
import { silentLogger } from '../../src/log.ts';
import { SalesforceSession, type SessionOptions } from '../../src/salesforce/session.ts';
import { configOf, testDatabase } from '../support/postgres.ts';
import { FastClock } from './fast-clock.ts';

/** Ten minutes of an outage pass in two seconds. */
export const SPEED = 300;

/** Real milliseconds: sockets know no other time. */
const TIMEOUTS = { connectMs: 5000, answerMs: 5000, longAnswerMs: 5000, silenceMs: 5000 };

const TABLES = `
  CREATE TABLE source (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL UNIQUE,
    status text NOT NULL DEFAULT 'READY', sf_id text, error text
  ) WITH (fillfactor = 50)`;
const MADE_LATER = [
  'sf_sync_job',
  'sf_sync_run',
  'sf_sync_retry',
  'sf_sync_dead_letter',
  'sf_sync_load',
  'sf_sync_token',
];

export interface ConnectOptions {
  session?: Partial<SessionOptions>;
  /** Logs in with a refresh token, kept in the ledger. */
  refreshToken?: boolean;
}

/** A sandbox org and a database with a source table, on one fast clock. */
export class NightWorld {
  readonly clock: Clock;
  readonly db: Database;
  org: Org;
  #orgOptions: OrgOptions;
  readonly #connections: SalesforceConnection[] = [];

  static async open(options: OrgOptions = {}): Promise<NightWorld> {
    const clock = new FastClock(SPEED);
    const db = new Database(configOf(await testDatabase(), { poolSize: 8 }));
    await db.query(TABLES);
    return new NightWorld(clock, db, await orgOn(clock, options), options);
  }

  private constructor(clock: Clock, db: Database, org: Org, orgOptions: OrgOptions) {
    this.clock = clock;
    this.db = db;
    this.org = org;
    this.#orgOptions = orgOptions;
  }

  /** An org with other options than the one that is there, in its place. */
  async replaceOrgFor(options: OrgOptions): Promise<void> {
    if (JSON.stringify(options) === JSON.stringify(this.#orgOptions)) return;
    await this.disconnect();
    await this.org.close();
    this.org = await orgOn(this.clock, options);
    this.#orgOptions = options;
  }

  /** As new, with these rows to load. */
  async seed(keys: readonly string[]): Promise<void> {
    await this.disconnect();
    await this.org.reset();
    const { rows } = await this.db.query<{ name: string }>(
      'SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY ($1)',
      [MADE_LATER],
    );
    await this.db.query(`TRUNCATE ${['source', ...rows.map(({ name }) => name)].join(', ')}`);
    await this.db.query('INSERT INTO source (key) SELECT unnest($1::text[])', [keys]);
  }

  /** As an `sf-connection` node opens it: another one is another Node-RED. */
  connect({ session = {}, refreshToken = false }: ConnectOptions = {}): SalesforceConnection {
    const { url: loginUrl, credentials } = this.org;
    const { clientId, clientSecret } = credentials;
    const { clock, db } = this;
    const connection = new SalesforceConnection({
      session: new SalesforceSession({
        credentials: refreshToken
          ? {
              flow: 'refresh-token',
              loginUrl,
              clientId,
              clientSecret,
              refreshToken: credentials.refreshToken,
            }
          : { flow: 'client-credentials', loginUrl, clientId, clientSecret },
        apiVersion: '66.0',
        clock,
        ...(refreshToken
          ? { refreshTokens: new PostgresRefreshTokenStore(db, { key: 'night', secret: clientSecret }) }
          : {}),
        ...session,
        timeouts: { ...TIMEOUTS, ...session.timeouts },
      }),
      ledger: new PostgresLedger(db),
      clock,
      log: silentLogger,
      retentionDays: 30,
    });
    this.#connections.push(connection);
    return connection;
  }

  async disconnect(): Promise<void> {
    for (const connection of this.#connections.splice(0)) await connection.close();
  }

  async query<R extends object>(sql: string, values: unknown[] = []): Promise<R[]> {
    return (await this.db.query<R & Record<string, unknown>>(sql, values)).rows;
  }

  async close(): Promise<void> {
    await this.disconnect();
    await this.org.close();
    await this.db.close();
  }
}

function orgOn(clock: Clock, options: OrgOptions): Promise<Org> {
  return startOrg({ ...options, now: () => Math.round(clock.now()) });
}
