import assert from 'node:assert/strict';
import pg from 'pg';
import { expectedOutcome, seedPendingSync } from '../../../sandbox/postgres/seed.ts';
import { testDatabase } from '../../support/postgres.ts';

const COUNTS = `
  SELECT count(*)::int AS rows,
         count(*) FILTER (WHERE name IS NULL)::int AS "without name",
         count(*) FILTER (WHERE email NOT LIKE '%@%')::int AS "invalid e-mail",
         count(*) FILTER (WHERE external_id LIKE '%-LOCK-%')::int AS lock,
         count(*) FILTER (WHERE external_id LIKE '%-APEX-%')::int AS apex,
         (count(*) - count(DISTINCT lower(external_id)))::int AS duplicate
  FROM pending_sf_sync WHERE sync_status = 'READY' AND sf_id IS NULL AND sync_error IS NULL`;

const CHECKSUM = 'SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) AS sum FROM pending_sf_sync AS t';

describe('seed of pending_sf_sync', () => {
  let client: pg.Client;

  before(async () => {
    client = new pg.Client((await testDatabase()).url);
    await client.connect();
  });
  after(() => client.end());

  async function one(sql: string): Promise<Record<string, unknown>> {
    const { rows } = await client.query(sql);
    return rows[0];
  }

  for (const rows of [0, 1, 2, 50, 10_000]) {
    it(`makes ${rows} rows with the faults it says`, async () => {
      const { kinds, ...expected } = await seedPendingSync(client, { rows });
      const { rows: made, ...faults } = await one(COUNTS);
      const { plain, ...wanted } = kinds;
      assert.equal(made, rows);
      assert.deepEqual(faults, wanted);
      assert.equal(plain + expected.healed + expected.permanent, rows);
    });
  }

  it('has faults in the promised shares', () => {
    const { kinds } = expectedOutcome({ rows: 100_000 });
    const percent = Object.fromEntries(
      Object.entries(kinds).map(([kind, n]) => [kind, Math.round(n / 1000)]),
    );
    assert.deepEqual(percent, {
      plain: 89,
      'without name': 3,
      'invalid e-mail': 2,
      duplicate: 2,
      lock: 3,
      apex: 1,
    });
  });

  it('makes the same rows again, and others for another seed', async () => {
    await seedPendingSync(client, { rows: 500, seed: 7 });
    const first = await one(CHECKSUM);
    await seedPendingSync(client, { rows: 500, seed: 7 });
    assert.deepEqual(await one(CHECKSUM), first);
    await seedPendingSync(client, { rows: 500, seed: 8 });
    assert.notDeepEqual(await one(CHECKSUM), first);
  });

  it('takes each duplicate from the plain row before it, told apart by capitals', async () => {
    await seedPendingSync(client, { rows: 2_000 });
    const { orphans } = await one(`
      SELECT count(*)::int AS orphans FROM pending_sf_sync AS d
      WHERE external_id LIKE 'c-%' AND NOT EXISTS (
        SELECT FROM pending_sf_sync AS o WHERE o.external_id = upper(d.external_id) AND o.id = d.id - 1)`);
    const { repeated } = await one(
      'SELECT (count(*) - count(DISTINCT external_id))::int AS repeated FROM pending_sf_sync',
    );
    assert.deepEqual({ orphans, repeated }, { orphans: 0, repeated: 0 });
  });
});
