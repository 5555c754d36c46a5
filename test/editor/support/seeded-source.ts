import pg from 'pg';
import { type Org, startOrg } from '../../../sandbox/org/org.ts';
import { type ExpectedOutcome, type SeedOptions, seedPendingSync } from '../../../sandbox/postgres/seed.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

/** Where the rows of a load end up, counted in the database and in the org themselves. */
export interface Counted {
  ready: number;
  done: number;
  failed: number;
  deadLetters: number;
  contacts: number;
}

/** What stands on both sides of a load: a table with rows to load, and an org without any record. */
export interface SeededSource {
  org: Org;
  database: TestDatabase;
  expected: ExpectedOutcome;
  count(): Promise<Counted>;
  stop(): Promise<void>;
}

export async function seededSource(seeding: SeedOptions): Promise<SeededSource> {
  const [org, database] = await Promise.all([startOrg(), testDatabase()]);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const expected = await seedPendingSync(client, seeding);
  return {
    org,
    database,
    expected,
    count: async () => ({ ...(await countRows(client)), contacts: [...org.records('Contact')].length }),
    stop: async () => {
      await client.end();
      await org.close();
    },
  };
}

async function countRows(client: pg.Client): Promise<Omit<Counted, 'contacts'>> {
  const { rows } = await client.query(
    `SELECT count(*) FILTER (WHERE sync_status = 'READY')::int AS ready,
            count(*) FILTER (WHERE sync_status = 'DONE' AND sf_id IS NOT NULL)::int AS done,
            count(*) FILTER (WHERE sync_status = 'FAILED' AND sync_error IS NOT NULL)::int AS failed,
            (SELECT count(*)::int FROM sf_sync_dead_letter) AS "deadLetters"
       FROM pending_sf_sync`,
  );
  return rows[0];
}

/** As the counts must be once every row has been loaded, healed or given up. */
export function allAccountedFor({ loaded, healed, permanent }: ExpectedOutcome): Counted {
  return {
    ready: 0,
    done: loaded + healed,
    failed: permanent,
    deadLetters: permanent,
    contacts: loaded + healed,
  };
}
