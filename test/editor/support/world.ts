import pg from 'pg';
import { type Org, startOrg } from '../../../sandbox/org/org.ts';
import { seedPendingSync } from '../../../sandbox/postgres/seed.ts';
import { type NodeRed, type NodeRedVersion, startNodeRed } from '../../support/node-red.ts';
import type { PackageSource } from '../../support/node-red-package.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { loadFlow } from './load-flow.ts';

export const VERSIONS: NodeRedVersion[] = ['5', '4'];

/** A folder with the package built in it, for work on the forms; else the repository, as the last build left it. */
const PACKAGE: PackageSource = process.env.SF_BULK_PACKAGE
  ? { folder: process.env.SF_BULK_PACKAGE }
  : 'linked';

/** A Node-RED, and the org and database that its forms ask. */
export interface World {
  nodeRed: NodeRed;
  org: Org;
  database: TestDatabase;
  /** Texts that no answer of Node-RED may hold. */
  secrets: string[];
  /** Deploys the flow with all nodes of the package. */
  deploy(): Promise<void>;
  /** Source rows that are done and those still ready, and dead letters. */
  counts(): Promise<Record<'done' | 'ready' | 'dead', number>>;
  stop(): Promise<void>;
}

export async function startWorld(version: NodeRedVersion, { rows = 100 } = {}): Promise<World> {
  const [org, database] = await Promise.all([startOrg(), seededDatabase(rows)]);
  const nodeRed = await startNodeRed({ version, packages: [PACKAGE], env: { SF_LOGIN_URL: org.url } });
  const { clientId, clientSecret } = org.credentials;
  const password = 'db-password-of-the-test';
  await setPassword(database, password);
  return {
    nodeRed,
    org,
    database: { ...database, password },
    secrets: [clientSecret, password],
    deploy: async () => {
      await nodeRed.deploy(loadFlow({ loginUrl: org.url, ...database }), {
        credentials: {
          conn: { clientId, clientSecret },
          conn2: { clientId, clientSecret },
          db: { user: database.user, password },
          db2: { user: database.user, password },
        },
      });
    },
    counts: () => counts(database),
    stop: async () => {
      await nodeRed.stop();
      await org.close();
    },
  };
}

async function counts(database: TestDatabase): Promise<Record<'done' | 'ready' | 'dead', number>> {
  let counted = { done: 0, ready: 0, dead: 0 };
  await withClient(database, async (client) => {
    const { rows } = await client.query(`
      SELECT count(*) FILTER (WHERE sync_status = 'DONE')::int AS done,
             count(*) FILTER (WHERE sync_status = 'READY')::int AS ready,
             (SELECT count(*)::int FROM sf_sync_dead_letter) AS dead
      FROM pending_sf_sync`);
    counted = rows[0];
  });
  return counted;
}

async function seededDatabase(rows: number): Promise<TestDatabase> {
  const database = await testDatabase();
  await withClient(database, (client) => seedPendingSync(client, { rows }));
  return database;
}

/** One that would be found in an answer; the server's own may be any short text. */
async function setPassword(database: TestDatabase, password: string): Promise<void> {
  await withClient(database, async (client) => {
    await client
      .query(`CREATE ROLE editor_test LOGIN SUPERUSER PASSWORD '${password}'`)
      .catch(ignoreExisting);
  });
  database.user = 'editor_test';
}

function ignoreExisting(error: { code?: string }): void {
  if (error.code !== '42710') throw error;
}

async function withClient(
  database: TestDatabase,
  use: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}
