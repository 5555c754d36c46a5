import assert from 'node:assert/strict';
import { migrate } from '../../src/database/migrate.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf, testDatabase } from '../support/postgres.ts';

const TABLES = `
  SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'sf\\_sync%'
  ORDER BY tablename`;

describe('migrations', () => {
  let db: Database;

  before(async () => {
    db = new Database(configOf(await testDatabase(), { poolSize: 10 }));
  });
  after(() => db.close());

  async function tables(): Promise<unknown[]> {
    return (await db.query(TABLES)).rows.map(({ name }) => name);
  }

  it('make the tables once, however many ask at the same moment', async () => {
    await Promise.all(Array.from({ length: 10 }, () => migrate(db)));
    assert.deepEqual(await tables(), [
      'sf_sync_job',
      'sf_sync_load',
      'sf_sync_retry',
      'sf_sync_run',
      'sf_sync_schema_version',
      'sf_sync_token',
    ]);
    const { rows } = await db.query('SELECT version, name FROM sf_sync_schema_version ORDER BY version');
    assert.deepEqual(rows[0], { version: 1, name: '001-ledger.sql' });
  });

  it('leave tables alone that are up to date', async () => {
    const before = await db.query('SELECT version, applied_at::text FROM sf_sync_schema_version');
    await migrate(db);
    const after = await db.query('SELECT version, applied_at::text FROM sf_sync_schema_version');
    assert.deepEqual(after.rows, before.rows);
  });

  it('refuse tables of a later release', async () => {
    await db.query("INSERT INTO sf_sync_schema_version (version, name) VALUES (999, '999-future.sql')");
    await assert.rejects(migrate(db), { code: 'CONFIG_INVALID', message: /later release.*version 999/ });
    await db.query('DELETE FROM sf_sync_schema_version WHERE version = 999');
    await migrate(db);
  });

  it('say which right is missing', async () => {
    const { database } = db.address;
    await db.query(`CREATE ROLE reader LOGIN PASSWORD 'reader'`);
    await db.query('CREATE SCHEMA closed');
    await db.query(`ALTER ROLE reader IN DATABASE "${database}" SET search_path = closed`);
    await db.query('GRANT USAGE ON SCHEMA closed TO reader');
    const config = configOf(await testDatabase());
    const reader = new Database({ ...config, database, user: 'reader', password: 'reader' });
    await assert.rejects(migrate(reader), {
      code: 'DB_QUERY_FAILED',
      sqlState: '42501',
      message: /permission denied for schema closed/,
    });
    await reader.close();
  });
});
