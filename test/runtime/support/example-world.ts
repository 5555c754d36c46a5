import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { type Org, startOrg } from '../../../sandbox/org/org.ts';
import { type EmbeddedPostgres, startPostgres } from '../../../sandbox/postgres/embedded-postgres.ts';
import { type FlowNode, type NodeRed, prepareUserDir, startNodeRed } from '../../support/node-red.ts';
import { REPOSITORY } from '../../support/node-red-package.ts';

/** SQLSTATE of a server that is going down or coming up, of a connection that was cut; else the socket's own code. */
const AWAY = /^(57P0[123]|08\d{3}|ECONN|EPIPE)/;

/** As in the sandbox's own seed. */
const SOURCE_TABLE = `
  CREATE TABLE pending_sf_sync (
    id bigint PRIMARY KEY, name text, email text, phone text, external_id text UNIQUE,
    sync_status text NOT NULL DEFAULT 'READY', sf_id text, sync_error text
  )`;

/** An org, a PostgreSQL of its own, and Node-REDs that run examples of this package on them. */
export class ExampleWorld {
  readonly org: Org;
  readonly postgres: EmbeddedPostgres;
  readonly running: NodeRed[] = [];
  readonly #pool: pg.Pool;
  readonly #userDirs: string[] = [];

  static async open(): Promise<ExampleWorld> {
    const [org, postgres] = await Promise.all([startOrg(), startPostgres({ fsync: false })]);
    const world = new ExampleWorld(org, postgres);
    await world.query(SOURCE_TABLE);
    return world;
  }

  private constructor(org: Org, postgres: EmbeddedPostgres) {
    const { host, port, user, password, database } = postgres;
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

  async count(from: string): Promise<number> {
    const [row] = await this.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${from}`);
    return row?.n ?? 0;
  }

  /** A Node-RED with its own user directory, or one that starts again where another was killed. */
  async startNodeRed(userDir?: string): Promise<NodeRed> {
    const { host, port, user, password, database } = this.postgres;
    const { clientId, clientSecret } = this.org.credentials;
    const nodeRed = await startNodeRed({
      userDir: userDir ?? (await this.#newUserDir()),
      env: {
        SF_LOGIN_URL: this.org.url,
        SF_CLIENT_ID: clientId,
        SF_CLIENT_SECRET: clientSecret,
        PGHOST: host,
        PGPORT: String(port),
        PGDATABASE: database,
        PGUSER: user,
        PGPASSWORD: password,
      },
    });
    this.running.push(nodeRed);
    return nodeRed;
  }

  /** An empty org, an empty source table, and nothing in the tables that our nodes make. */
  async reset(): Promise<void> {
    await this.org.reset();
    const tables = await this.query<{ name: string }>(
      "SELECT quote_ident(relname) AS name FROM pg_class WHERE relkind = 'r' AND relname ~ '^(sf_sync_(load|run|job|retry|dead_letter)|pending_sf_sync)$'",
    );
    await this.query(`TRUNCATE ${tables.map(({ name }) => name).join(', ')} RESTART IDENTITY`);
  }

  async close(): Promise<void> {
    for (const nodeRed of this.running) if (nodeRed.exit === undefined) await nodeRed.kill();
    for (const userDir of this.#userDirs) await rm(userDir, { recursive: true, force: true });
    await this.#pool.end();
    await this.postgres.stop();
    await this.org.close();
  }

  async #newUserDir(): Promise<string> {
    const userDir = await prepareUserDir(['linked']);
    this.#userDirs.push(userDir);
    return userDir;
  }
}

/** The nodes of an example, by type and name, with its waits made short. */
export class Example {
  readonly nodes: FlowNode[];

  static async read(name: string): Promise<Example> {
    return new Example(JSON.parse(await readFile(join(REPOSITORY, 'examples', `${name}.json`), 'utf8')));
  }

  private constructor(nodes: FlowNode[]) {
    this.nodes = nodes;
    for (const poll of this.all('sf-bulk-poll')) Object.assign(poll, { interval: 0.1, maxInterval: 0.5 });
    for (const retry of this.all('sf-single-retry')) retry.backoff = 0.1;
  }

  all(type: string): FlowNode[] {
    return this.nodes.filter((node) => node.type === type);
  }

  the(type: string, name?: string): FlowNode {
    const found = this.all(type).filter((node) => name === undefined || node.name === name);
    const [node] = found;
    if (node === undefined || found.length > 1)
      throw new Error(`${found.length} nodes ${type} ${name ?? ''}`);
    return node;
  }

  set(type: string, change: Record<string, unknown>, name?: string): this {
    Object.assign(this.the(type, name), change);
    return this;
  }

  /** Puts a function node behind an output; it takes over what was wired there. */
  insert(after: FlowNode, output: number, node: { id: string; func: string }): this {
    const wires = after.wires as string[][];
    this.nodes.push({ type: 'function', z: after.z, outputs: 1, wires: [wires[output] ?? []], ...node });
    wires[output] = [node.id];
    return this;
  }

  /** Of the debug node that is wired to an output. */
  behind(type: string, output: number): string {
    const wires = this.all(type)[0]?.wires as string[][] | undefined;
    const debug = wires?.[output]?.find((id) =>
      this.nodes.some((node) => node.id === id && node.type === 'debug'),
    );
    if (debug === undefined) throw new Error(`No debug node is wired to output ${output} of ${type}.`);
    return debug;
  }
}
