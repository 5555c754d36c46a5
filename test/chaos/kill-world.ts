import { rm } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { type EmbeddedPostgres, startPostgres } from '../../sandbox/postgres/embedded-postgres.ts';
import { type NodeRed, prepareUserDir, startNodeRed } from '../support/node-red.ts';
import type { PackageSource } from '../support/node-red-package.ts';
import { until } from '../support/until.ts';
import { CREDENTIALS, type FlowOptions, loadFlow } from './kill-flow.ts';

/** Two places where Node-RED runs with the same flows: each its own user directory and user of the database. */
export const PLACES = ['one', 'two'] as const;
export type Place = (typeof PLACES)[number];

/** How the load stands, by the ledger and the source table. */
export interface Standing {
  ready: number;
  runs: number;
  /** Runs that have not ended, and those of them to which rows still come. */
  unfinished: number;
  loading: number;
  /** Jobs that are closed and not settled. */
  unsettled: number;
}

export interface WorldOptions {
  flow: FlowOptions;
  packages?: PackageSource[];
  /** Seconds between two looks of a Node-RED that stands by. */
  standInSeconds?: number;
  org?: Parameters<typeof startOrg>[0];
  /** Further environment variables of the Node-RED at a place. */
  env?: Partial<Record<Place, Record<string, string>>>;
}

const TABLES = `
  CREATE TABLE source (
    id bigint PRIMARY KEY, key text NOT NULL UNIQUE, status text NOT NULL DEFAULT 'READY', sf_id text, error text
  ) WITH (fillfactor = 50)`;
const LEDGER_TABLES = ['sf_sync_job', 'sf_sync_run', 'sf_sync_retry', 'sf_sync_dead_letter', 'sf_sync_load'];
/** SQLSTATE of a server that is going down or coming up, of a connection that was cut; else the socket's own code. */
const AWAY = /^(57P0[123]|08\d{3}|ECONN|EPIPE)/;

/** An org, a database with a source table, and up to two Node-REDs that load it. All but the rows outlives a run. */
export class World {
  readonly org: Org;
  readonly postgres: EmbeddedPostgres;
  readonly running = new Map<Place, NodeRed>();
  readonly #options: WorldOptions;
  readonly #pool: pg.Pool;
  readonly #userDirs = new Map<Place, string>();

  static async open(options: WorldOptions): Promise<World> {
    const org = await startOrg({ startDelayMs: 0, ...options.org });
    const postgres = await startPostgres({ fsync: false });
    const world = new World(options, org, postgres);
    await world.query(TABLES);
    for (const place of PLACES) await world.query(`CREATE ROLE ${place} LOGIN SUPERUSER PASSWORD '${place}'`);
    return world;
  }

  private constructor(options: WorldOptions, org: Org, postgres: EmbeddedPostgres) {
    const { host, port, user, password, database } = postgres;
    this.#options = options;
    this.org = org;
    this.postgres = postgres;
    this.#pool = new pg.Pool({ host, port, user, password, database, max: 4 });
    // A connection that was cut while idle: the next query opens another.
    this.#pool.on('error', () => {});
  }

  /** Of the witness, which waits while the server is away. */
  async query<R extends object = Record<string, unknown>>(
    text: string,
    values: unknown[] = [],
  ): Promise<R[]> {
    for (;;) {
      try {
        return (await this.#pool.query(text, values)).rows as R[];
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (!AWAY.test(code ?? '') && !/Connection terminated/.test(message)) throw error;
        await wait(50);
      }
    }
  }

  /** New rows, and nothing left of the ones before: no run, no job, no dead letter, no record in the org. */
  async seed(keys: readonly string[]): Promise<void> {
    await this.org.reset();
    await this.query('TRUNCATE source');
    await this.query(
      'INSERT INTO source (id, key) SELECT n, k FROM unnest($1::text[]) WITH ORDINALITY AS u (k, n)',
      [keys],
    );
    const names = await this.query<{ name: string }>(
      'SELECT relname::text AS name FROM pg_class WHERE relname = ANY ($1)',
      [LEDGER_TABLES],
    );
    if (names.length > 0) await this.query(`TRUNCATE ${names.map(({ name }) => name).join(', ')}`);
  }

  /** Starts Node-RED with the load's flow, deployed the first time, and waits until its ledger is there. */
  async start(place: Place): Promise<NodeRed> {
    const known = this.#userDirs.get(place);
    const userDir = known ?? (await prepareUserDir(this.#options.packages ?? ['linked']));
    this.#userDirs.set(place, userDir);
    const { host, port, database } = this.postgres;
    const { clientId, clientSecret } = this.org.credentials;
    const nodeRed = await startNodeRed({
      userDir,
      settings: { sfBulkCreateStandInSeconds: this.#options.standInSeconds ?? 0.5 },
      env: {
        SF_LOGIN_URL: this.org.url,
        SF_CLIENT_ID: clientId,
        SF_CLIENT_SECRET: clientSecret,
        PGHOST: host,
        PGPORT: String(port),
        PGDATABASE: database,
        PGUSER: place,
        PGPASSWORD: place,
        ...this.#options.env?.[place],
      },
    });
    this.running.set(place, nodeRed);
    if (known === undefined) {
      await nodeRed.deploy(loadFlow(this.#options.flow), { credentials: CREDENTIALS });
      if (this.#options.flow.ledger !== false)
        await nodeRed.waitFor(() => this.#hasLedger(), 'the ledger has its tables');
    }
    return nodeRed;
  }

  async kill(place: Place): Promise<void> {
    await this.running.get(place)?.kill();
    this.running.delete(place);
  }

  /** As a service manager stops it. */
  async stop(place: Place): Promise<void> {
    await this.running.get(place)?.kill('SIGTERM');
    this.running.delete(place);
  }

  /** Cuts every connection of that Node-RED to the database. */
  async cut(place: Place): Promise<void> {
    const open = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1';
    await until(
      async () => (await this.query(open, [place])).length === 0,
      `${place} has no connection to the database`,
    );
  }

  /** Raised by each process that takes the load. */
  async epoch(): Promise<number> {
    const [row] = await this.query<{ epoch: string }>('SELECT max(epoch) AS epoch FROM sf_sync_load');
    return Number(row?.epoch ?? 0);
  }

  async standing(): Promise<Standing> {
    const [standing] = await this.query<Standing>(`
      SELECT (SELECT count(*) FROM source WHERE status = 'READY')::int AS ready,
             (SELECT count(*) FROM sf_sync_run)::int AS runs,
             (SELECT count(*) FROM sf_sync_run WHERE state <> 'ended')::int AS unfinished,
             (SELECT count(*) FROM sf_sync_run WHERE state = 'loading')::int AS loading,
             (SELECT count(*) FROM sf_sync_job WHERE state IN ('closing', 'closed'))::int AS unsettled`);
    if (standing === undefined) throw new Error('PostgreSQL gave no row where it always gives one.');
    return standing;
  }

  async close(): Promise<void> {
    for (const nodeRed of this.running.values()) await nodeRed.kill();
    for (const userDir of this.#userDirs.values()) await rm(userDir, { recursive: true, force: true });
    await this.#pool.end();
    await this.postgres.stop();
    await this.org.close();
  }

  async #hasLedger(): Promise<boolean> {
    const [row] = await this.query<{ there: boolean }>(
      "SELECT to_regclass('sf_sync_run') IS NOT NULL AS there",
    );
    return row?.there === true;
  }
}
