import { createRequire } from 'node:module';
import sfConnection from '../../../nodes/sf-connection.ts';
import type { Message, NodeConfig } from '../../../nodes/shared/red.ts';
import syncDatabase from '../../../nodes/sync-database.ts';
import type { Org } from '../../../sandbox/org/org.ts';
import type { DatabaseConfig } from '../../../src/database/database-config.ts';
import { type NodeModule, nodeHelper, type TestNode } from '../../support/node-helper.ts';

type Config = Record<string, unknown> & { id: string; type: string };

export interface BenchOptions {
  modules: NodeModule[];
  /** Wires name nodes; those that end with `?` are made: they keep what they get. */
  nodes: Config[];
  database?: Pick<DatabaseConfig, 'host' | 'port' | 'database' | 'user' | 'password'>;
  org?: Org;
  /** Default: the database. Empty: none. */
  ledger?: string;
  /** Laid over the database node `db`. */
  db?: Record<string, unknown>;
}

/** Nodes in the real runtime, with a database `db` and a connection `sf`, and what came out of them. */
export class Bench {
  readonly #received = new Map<string, Message[]>();

  static async load(options: BenchOptions): Promise<Bench> {
    const bench = new Bench();
    await bench.#load(options);
    return bench;
  }

  /** Of a wire's end, such as `stored?`. */
  at(sink: string): Message[] {
    return this.#received.get(sink) ?? [];
  }

  node(id: string): TestNode {
    return nodeHelper.node(id);
  }

  /** What a node has warned of, from the first moment on. */
  warnings(id: string): string[] {
    const { args, WARN } = helper.log();
    return args.filter(([entry]) => entry.level === WARN && entry.id === id).map(([{ msg }]) => String(msg));
  }

  async #load({ modules, nodes, database, org, ledger = 'db', db = {} }: BenchOptions): Promise<void> {
    const ends = nodes.flatMap(({ wires }) => (wires as string[][] | undefined) ?? []).flat();
    const sinks = [...new Set(ends.filter((id) => id.endsWith('?')))];
    for (const id of sinks) this.#received.set(id, []);
    const place = { z: 'tab', x: 0, y: 0 };
    const flow = [
      { id: 'tab', type: 'tab' },
      { id: 'db', type: 'sync-database', ...placeOf(database), ssl: 'disable', poolSize: 4, ...db },
      ...(org === undefined ? [] : [connectionTo(org, ledger)]),
      ...nodes.map((node) => ({ ...place, wires: [], ...node })),
      ...sinks.map((id) => ({ ...place, id, type: 'bench-sink', wires: [] })),
    ];
    const { clientId, clientSecret } = org?.credentials ?? {};
    await nodeHelper.load([sfConnection, syncDatabase, ...modules, this.#sink()], flow, {
      db: { user: database?.user, password: database?.password },
      sf: { clientId, clientSecret },
    });
  }

  #sink(): NodeModule {
    return nodeHelper.type('bench-sink', (_RED, node, { id }: NodeConfig) => {
      node.on('input', (message, _send, done) => {
        this.#received.get(id)?.push(message);
        done();
      });
    });
  }
}

interface LogEntry {
  level: number;
  id?: string;
  msg: unknown;
}

/** It spies on the log of the one runtime, from the load of the flow on. */
const helper: { log(): { args: [LogEntry][]; WARN: number } } = createRequire(import.meta.url)(
  'node-red-node-test-helper',
);

function connectionTo(org: Org, ledger: string): Config {
  return {
    id: 'sf',
    type: 'sf-connection',
    authFlow: 'client-credentials',
    loginUrl: org.url,
    apiVersion: '66.0',
    ledger,
  };
}

function placeOf({ host, port, database }: Partial<NonNullable<BenchOptions['database']>> = {}) {
  return { host, port, database };
}
