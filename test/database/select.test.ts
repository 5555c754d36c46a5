import assert from 'node:assert/strict';
import { seedPendingSync } from '../../sandbox/postgres/seed.ts';
import { Database } from '../../src/database/pool.ts';
import { openSelect, type SelectOptions } from '../../src/database/select.ts';
import type { SourceRecord } from '../../src/record.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

/** Other sessions of this database that read: what an ended select must not leave behind. */
const READERS = `
  SELECT pid, state FROM pg_stat_activity
  WHERE datname = current_database() AND application_name LIKE '% select'`;
const OPEN_TRANSACTIONS = `${READERS} AND xact_start IS NOT NULL`;

describe('select', () => {
  let at: TestDatabase;
  let db: Database;

  before(async () => {
    at = await testDatabase();
    db = new Database(configOf(at, { poolSize: 2 }));
    await seedPendingSync(db, { rows: 1_000 });
  });
  after(() => db.close());
  afterEach(async () => {
    await until(
      async () => (await db.query(READERS)).rows.length === 0,
      'no session of the select is left',
      5_000,
    );
  });

  async function batchesOf(
    options: Partial<SelectOptions> & { sql: string },
    from = db,
  ): Promise<SourceRecord[][]> {
    const batches: SourceRecord[][] = [];
    for await (const batch of openSelect(from, { batchSize: 100, ...options })) batches.push(batch);
    return batches;
  }

  async function rowsOf(sql: string, params: unknown[] = []): Promise<SourceRecord[]> {
    return (await batchesOf({ sql, params })).flat();
  }

  describe('batches', () => {
    const ORDERED = 'SELECT id, name FROM pending_sf_sync ORDER BY id LIMIT $1';
    for (const [rows, sizes] of [
      [0, []],
      [1, [1]],
      [99, [99]],
      [100, [100]],
      [101, [100, 1]],
      [250, [100, 100, 50]],
    ] as const) {
      it(`of ${rows} rows are of 100 at most, and none is empty`, async () => {
        const batches = await batchesOf({ sql: ORDERED, params: [rows] });
        assert.deepEqual(
          batches.map(({ length }) => length),
          sizes,
        );
        assert.deepEqual(
          batches.flat().map(({ id }) => id),
          Array.from({ length: rows }, (_, index) => String(index + 1)),
        );
      });
    }

    it('come without a transaction that stays open', async () => {
      const select = openSelect(db, { sql: 'SELECT * FROM pending_sf_sync', batchSize: 10 });
      const rows = select[Symbol.asyncIterator]();
      await rows.next();
      assert.equal((await db.query(READERS)).rows.length, 1);
      await until(
        async () => (await db.query(OPEN_TRANSACTIONS)).rows.length === 0,
        'no transaction is open',
      );
      await select.close();
    });

    it('show the table as it was when the select began', async () => {
      await db.query('CREATE TABLE moving AS SELECT generate_series(1, 50) AS n');
      const select = openSelect(db, { sql: 'SELECT n FROM moving', batchSize: 10 });
      const seen: unknown[] = [];
      for await (const batch of select) {
        seen.push(...batch);
        await db.query('TRUNCATE moving');
      }
      assert.equal(seen.length, 50);
    });

    it('leave the pool free: a select needs no connection of it', async () => {
      const selects = [1, 2, 3].map(() => openSelect(db, { sql: 'SELECT 1 AS n', batchSize: 1 }));
      for (const select of selects) await select[Symbol.asyncIterator]().next();
      assert.deepEqual((await db.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
      await Promise.all(selects.map((select) => select.close()));
    });
  });

  describe('parameters', () => {
    const params: [string, unknown, string, unknown][] = [
      [
        'text',
        'O\'Reilly -- \\ "x" ; DROP TABLE pending_sf_sync',
        '$1::text',
        'O\'Reilly -- \\ "x" ; DROP TABLE pending_sf_sync',
      ],
      ['number', 12.5, '$1::numeric', '12.5'],
      ['bigint', 9007199254740993n, '$1::bigint', '9007199254740993'],
      ['boolean', true, '$1::boolean', true],
      ['null', null, '$1::text', null],
      ['undefined', undefined, '$1::text', null],
      ['Date', new Date('2026-03-29T01:30:00.123Z'), '$1::timestamptz', new Date('2026-03-29T01:30:00.123Z')],
      ['Buffer', Buffer.from([0, 255, 10]), '$1::bytea', Buffer.from([0, 255, 10])],
      ['array', ['a"b', null, 'c,d', '\\'], '$1::text[]', ['a"b', null, 'c,d', '\\']],
      [
        'array of arrays',
        [
          [1, 2],
          [3, 4],
        ],
        '$1::int[]',
        [
          [1, 2],
          [3, 4],
        ],
      ],
      ['object', { a: ["x'y"] }, '$1::jsonb', { a: ["x'y"] }],
    ];
    for (const [what, value, expression, expected] of params) {
      it(`of type ${what} arrive as they are`, async () => {
        assert.deepEqual(await rowsOf(`SELECT ${expression} AS value`, [value]), [{ value: expected }]);
      });
    }

    it('must be as many as the SQL has', async () => {
      await assert.rejects(rowsOf('SELECT $1::int + $2::int AS n', [1]), {
        code: 'DB_QUERY_FAILED',
        sqlState: '08P01',
      });
    });
  });

  describe('types', () => {
    const types: [string, unknown][] = [
      ['9223372036854775807::bigint', '9223372036854775807'],
      ['1.10::numeric(10,2)', '1.10'],
      ['7::smallint', 7],
      ['0.1::double precision', 0.1],
      ['false', false],
      ["'2026-03-29'::date", '2026-03-29'],
      ["'infinity'::date", 'infinity'],
      ["'2026-03-29 02:30:00.123456'::timestamp", '2026-03-29T02:30:00.123456'],
      ["'2026-03-29 02:30:00+02'::timestamptz", new Date('2026-03-29T00:30:00Z')],
      ["'12:30'::time", '12:30:00'],
      ["'1 day 02:00'::interval", '1 day 02:00:00'],
      [`'\\x00ff'::bytea`, Buffer.from([0, 255])],
      [`'{"a": [1, null]}'::json`, { a: [1, null] }],
      ["'{2026-03-29}'::date[]", ['2026-03-29']],
      ["'{2026-03-29 02:30}'::timestamp[]", ['2026-03-29T02:30:00']],
      ["point '(1,2)'", '(1,2)'],
      ["'3f333df6-90a4-4fda-8dd3-9485d27cee36'::uuid", '3f333df6-90a4-4fda-8dd3-9485d27cee36'],
      ['NULL::int', null],
    ];
    for (const [sql, expected] of types) {
      it(`${sql} loses nothing and moves nowhere`, async () => {
        assert.deepEqual(await rowsOf(`SELECT ${sql} AS value`), [{ value: expected }]);
      });
    }
  });

  describe('SQL that is refused in words', () => {
    const refused: [string, string, RegExp][] = [
      [
        'two statements',
        'SELECT 1 AS a; DELETE FROM pending_sf_sync',
        /holds 2 statements; only one can be run/,
      ],
      ['none', ' -- nothing\n;; /* /* ; */ */', /The SQL is empty/],
      ['a DELETE', 'DELETE FROM pending_sf_sync RETURNING id', /must be a SELECT/],
      [
        'two columns of one name',
        'SELECT 1 AS a, 2 AS b, 3 AS a',
        /Column 3 of the SQL has the name "a" of another one/,
      ],
      ['a column without a name', 'SELECT id, 1 + 1 FROM pending_sf_sync', /Column 2 of the SQL has no name/],
      ['a NUL', 'SELECT \0', /NUL/],
    ];
    for (const [what, sql, message] of refused) {
      it(what, async () => {
        await assert.rejects(rowsOf(sql), { code: 'CONFIG_INVALID', message });
      });
    }

    it('with the place as the person counts it', async () => {
      await assert.rejects(rowsOf('SELECT nmae FROM pending_sf_sync'), {
        code: 'DB_QUERY_FAILED',
        sqlState: '42703',
        message: /column "nmae" does not exist.*At character 8 of the SQL/,
      });
    });

    it('a WITH that writes', async () => {
      const sql = "WITH gone AS (UPDATE pending_sf_sync SET name = 'x' RETURNING id) SELECT id FROM gone";
      await assert.rejects(rowsOf(sql), { code: 'DB_QUERY_FAILED', sqlState: '0A000' });
    });

    it('while semicolons and comments behind it, VALUES, WITH and TABLE are fine', async () => {
      assert.equal((await rowsOf("SELECT ';' AS a; -- and; so; on\n")).length, 1);
      assert.equal((await rowsOf('(VALUES (1), (2));')).length, 2);
      assert.equal((await rowsOf('WITH t AS (SELECT 1 AS n) SELECT * FROM t')).length, 1);
      assert.equal((await rowsOf('TABLE pending_sf_sync')).length, 1_000);
    });
  });

  describe('end', () => {
    it('after a break leaves nothing', async () => {
      for await (const batch of openSelect(db, { sql: 'SELECT * FROM pending_sf_sync', batchSize: 10 })) {
        assert.equal(batch.length, 10);
        break;
      }
    });

    it('by close in the middle of a long query cancels it', async () => {
      const select = openSelect(db, { sql: 'SELECT pg_sleep(60)::text AS s', batchSize: 10 });
      const first = select[Symbol.asyncIterator]().next();
      await until(
        async () => (await db.query(`${READERS} AND state = 'active'`)).rows.length === 1,
        'it runs',
      );
      await select.close();
      assert.deepEqual(await first, { done: true, value: undefined });
    });

    it('by close before it began, and twice', async () => {
      const select = openSelect(db, { sql: 'SELECT 1 AS n', batchSize: 1 });
      await select.close();
      await select.close();
      assert.deepEqual(await select[Symbol.asyncIterator]().next(), { done: true, value: undefined });
    });

    it('by the signal while the reader is busy with a batch', async () => {
      const stop = new AbortController();
      const sql = 'SELECT * FROM pending_sf_sync';
      const select = openSelect(db, { sql, batchSize: 10, signal: stop.signal });
      const rows = select[Symbol.asyncIterator]();
      await rows.next();
      stop.abort(new Error('redeploy'));
      await until(async () => (await db.query(READERS)).rows.length === 0, 'the session is gone at once');
      await assert.rejects(rows.next(), /redeploy/);
    });

    it('by the signal in the middle of the query', async () => {
      const stop = new AbortController();
      const reading = assert.rejects(
        batchesOf({ sql: 'SELECT pg_sleep(60)::text AS s', signal: stop.signal }),
        /redeploy/,
      );
      await until(
        async () => (await db.query(`${READERS} AND state = 'active'`)).rows.length === 1,
        'it runs',
      );
      stop.abort(new Error('redeploy'));
      await reading;
    });

    it('by a signal that came before', async () => {
      const signal = AbortSignal.abort(new Error('redeploy'));
      await assert.rejects(batchesOf({ sql: 'SELECT 1 AS n', signal }), /redeploy/);
    });

    it('by an error in a later row', async () => {
      const sql = 'SELECT 1 / (g - 150) AS n FROM generate_series(1, 200) AS g';
      await assert.rejects(batchesOf({ sql }), { code: 'DB_QUERY_FAILED', sqlState: '22012' });
    });

    it('by a connection that breaks between two batches', async () => {
      const proxy = await TcpProxy.start(at);
      const shaky = new Database({ ...configOf(at), port: proxy.port });
      const rows = openSelect(shaky, { sql: 'SELECT * FROM pending_sf_sync', batchSize: 10 })[
        Symbol.asyncIterator
      ]();
      await rows.next();
      await rows.next();
      proxy.cut();
      // One batch was fetched ahead.
      await assert.rejects(
        rows.next().then(() => rows.next()),
        { code: 'DB_UNAVAILABLE', retryable: true },
      );
      await shaky.close();
      await proxy.stop();
    });
  });
});
