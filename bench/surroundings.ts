import pg from 'pg';
import { OrgProcess } from '../sandbox/launcher/org-process.ts';
import type { Resources } from '../sandbox/launcher/resources.ts';
import { type EmbeddedPostgres, startPostgres } from '../sandbox/postgres/embedded-postgres.ts';
import { seedPendingSync } from '../sandbox/postgres/seed.ts';
import type { Request } from './measurement.ts';

/** PostgreSQL with the source table and the sandbox org in sink mode, 1 per cent of records failing: processes of their own. */
export class Surroundings {
  readonly rows: number;
  readonly #postgres: EmbeddedPostgres;
  readonly #org: OrgProcess;
  readonly #env: Record<string, string>;

  static async open(rows: number, resources: Resources): Promise<Surroundings> {
    const postgres = await startPostgres();
    resources.add('PostgreSQL', () => postgres.stop());
    const org = await OrgProcess.start({ sink: true });
    resources.add('The sandbox org', () => org.stop());
    await withClient(postgres, (client) => seedPendingSync(client, { rows }));
    return new Surroundings(rows, postgres, org, await environment(postgres, org));
  }

  private constructor(
    rows: number,
    postgres: EmbeddedPostgres,
    org: OrgProcess,
    env: Record<string, string>,
  ) {
    this.rows = rows;
    this.#postgres = postgres;
    this.#org = org;
    this.#env = env;
  }

  /** Where both are, and how to log in: as variables of the environment, for every path the same. */
  get env(): Record<string, string> {
    return this.#env;
  }

  /** The org forgets all jobs and requests. Rows that a write-back has marked are READY again. */
  async reset(): Promise<void> {
    await post(`${this.#org.url}/sandbox/reset`);
    await withClient(this.#postgres, async (client) => {
      const { rows } = await client.query(
        "SELECT 1 FROM pending_sf_sync WHERE sync_status <> 'READY' LIMIT 1",
      );
      if (rows.length > 0) await seedPendingSync(client, { rows: this.rows });
      await client.query('CHECKPOINT');
    });
  }

  /** All requests since the last reset, oldest first. */
  async requests(): Promise<Request[]> {
    const answer = await fetch(`${this.#org.url}/sandbox/audit/requests?path=jobs/ingest&limit=100000`);
    return (await answer.json()) as Request[];
  }
}

async function withClient<T>(
  postgres: EmbeddedPostgres,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function environment(postgres: EmbeddedPostgres, org: OrgProcess): Promise<Record<string, string>> {
  const { clientId, clientSecret } = await org.credentials();
  return {
    SF_LOGIN_URL: org.url,
    SF_CLIENT_ID: clientId,
    SF_CLIENT_SECRET: clientSecret,
    PGHOST: postgres.host,
    PGPORT: String(postgres.port),
    PGDATABASE: postgres.database,
    PGUSER: postgres.user,
    PGPASSWORD: postgres.password,
  };
}

async function post(url: string): Promise<void> {
  const answer = await fetch(url, { method: 'POST' });
  if (!answer.ok) throw new Error(`The sandbox org answered ${answer.status} to ${url}.`);
}
