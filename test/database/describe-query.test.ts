import assert from 'node:assert/strict';
import { seedPendingSync } from '../../sandbox/postgres/seed.ts';
import { describeQuery, previewQuery } from '../../src/database/describe-query.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf, testDatabase } from '../support/postgres.ts';

describe('description of a query', () => {
  let db: Database;

  before(async () => {
    db = new Database(configOf(await testDatabase()));
    await seedPendingSync(db, { rows: 50 });
  });
  after(() => db.close());

  it('names columns and types, also where parameters are', async () => {
    const sql =
      'SELECT id, name::varchar(80), $1::numeric(10,2) AS "a ""b""", now() AS at FROM pending_sf_sync WHERE id > $2;';
    const columns = await describeQuery(db, sql);
    assert.deepEqual(
      columns.map(({ name, type }) => [name, type]),
      [
        ['id', 'bigint'],
        ['name', 'character varying(80)'],
        ['a "b"', 'numeric(10,2)'],
        ['at', 'timestamp with time zone'],
      ],
    );
  });

  it('runs nothing', async () => {
    await db.query('CREATE SEQUENCE counter');
    await describeQuery(db, "SELECT nextval('counter') AS n");
    assert.deepEqual((await db.query('SELECT is_called FROM counter')).rows, [{ is_called: false }]);
  });

  it('says what is wrong with the SQL', async () => {
    await assert.rejects(describeQuery(db, 'SELECT nmae FROM pending_sf_sync'), {
      code: 'DB_QUERY_FAILED',
      sqlState: '42703',
    });
    await assert.rejects(describeQuery(db, 'SELECT 1; SELECT 2'), { code: 'CONFIG_INVALID' });
    assert.equal((await describeQuery(db, 'SELECT 1 AS n')).length, 1, 'the connection is fine');
  });

  it('previews the first ten rows', async () => {
    const { columns, rows } = await previewQuery(db, {
      sql: 'SELECT id, external_id FROM pending_sf_sync WHERE id > $1 ORDER BY id',
      params: [5],
    });
    assert.deepEqual(
      columns.map(({ name }) => name),
      ['id', 'external_id'],
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['6', '7', '8', '9', '10', '11', '12', '13', '14', '15'],
    );
  });

  it('previews without writing', async () => {
    await assert.rejects(previewQuery(db, { sql: "SELECT nextval('counter') AS n" }), {
      code: 'DB_QUERY_FAILED',
      sqlState: '25006',
    });
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    const waiting = assert.rejects(
      previewQuery(db, { sql: 'SELECT pg_sleep(60)::text AS s' }, stop.signal),
      /enough/,
    );
    setImmediate(() => stop.abort(new Error('enough')));
    await waiting;
  });
});
