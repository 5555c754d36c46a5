import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expectedOutcome, seedPendingSync } from '../../sandbox/postgres/seed.ts';
import { type CopyOutOptions, type CsvFile, copyOut } from '../../src/database/copy-out.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const COPIES = `
  SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% copy'`;

describe('copy out', () => {
  let at: TestDatabase;
  let db: Database;
  let folder: string;
  let files = 0;

  before(async () => {
    at = await testDatabase();
    db = new Database(configOf(at));
    folder = await mkdtemp(join(tmpdir(), 'sf-bulk-copy-'));
    await seedPendingSync(db, { rows: 5_000 });
  });
  after(async () => {
    await db.close();
    await rm(folder, { recursive: true });
  });
  afterEach(async () => {
    await until(
      async () => (await db.query(COPIES)).rows.length === 0,
      'no session of the copy is left',
      5_000,
    );
  });

  function nextPath(): string {
    files += 1;
    return join(folder, `${files}.csv`);
  }

  function copy(
    options: Partial<CopyOutOptions> & { sql: string },
    from = db,
  ): AsyncGenerator<CsvFile, void, void> {
    return copyOut(from, { maxBytes: 1_000_000, nextPath, ...options });
  }

  async function allOf(options: Partial<CopyOutOptions> & { sql: string }): Promise<CsvFile[]> {
    const written: CsvFile[] = [];
    for await (const file of copy(options)) written.push(file);
    return written;
  }

  async function valuesOf(sql: string, params: unknown[] = []): Promise<string[][]> {
    const [file] = await allOf({ sql, params });
    return parse(await readFile(file?.path ?? ''));
  }

  it('writes files of at most so many bytes, each with the header, and every row once', async () => {
    const written = await allOf({
      sql: 'SELECT id, name FROM pending_sf_sync ORDER BY id',
      maxBytes: 20_000,
    });
    assert.ok(written.length > 3);
    const ids: number[] = [];
    for (const { path, bytes, records } of written) {
      const text = await readFile(path);
      assert.equal(text.length, bytes);
      assert.equal((await stat(path)).mode & 0o077, 0, 'for the owner only');
      assert.ok(bytes <= 20_000);
      const rows = parse(text, { columns: true }) as { id: string }[];
      assert.equal(rows.length, records);
      ids.push(...rows.map(({ id }) => Number(id)));
    }
    assert.deepEqual(
      ids,
      Array.from({ length: 5_000 }, (_, index) => index + 1),
    );
  });

  it('writes one file of only a header when there is no row', async () => {
    const written = await allOf({
      sql: 'SELECT id, name AS "my, ""name""" FROM pending_sf_sync WHERE false',
    });
    assert.equal(written.length, 1);
    assert.equal(written[0]?.records, 0);
    assert.equal(await readFile(written[0]?.path ?? '', 'utf8'), 'id,"my, ""name"""\n');
  });

  it('writes values as Salesforce reads them', async () => {
    const [header, values] = await valuesOf(`
      SELECT true AS yes, false AS no, NULL::boolean AS unknown, date '2026-03-29' AS day,
             timestamptz '2026-03-29 02:30:00.12+02' AS moment, timestamp '2026-03-29 02:30:00' AS local,
             '\\x${'00ff'.repeat(60)}'::bytea AS bytes, 12.50::numeric AS amount, 1e15::float8 AS large,
             '' AS empty, E'a "q", b\\nc' AS text`);
    assert.deepEqual(Object.fromEntries((header ?? []).map((name, index) => [name, values?.[index]])), {
      yes: 'true',
      no: 'false',
      unknown: '',
      day: '2026-03-29',
      moment: '2026-03-29T00:30:00.120Z',
      local: '2026-03-29T02:30:00',
      bytes: Buffer.from('00ff'.repeat(60), 'hex').toString('base64'),
      amount: '12.50',
      large: '1e+15',
      empty: '',
      text: 'a "q", b\nc',
    });
  });

  it('binds parameters as literals that stay values', async () => {
    const evil = "x'); DROP TABLE pending_sf_sync; --\\";
    const rows = await valuesOf(
      "SELECT $1 AS value, '$1' AS text, $2::int AS n, $3::text AS nothing LIMIT $2",
      [evil, 1, null],
    );
    assert.deepEqual(rows[1], [evil, '$1', '1', '']);
    assert.equal((await db.query('SELECT count(*)::int AS n FROM pending_sf_sync')).rows[0]?.n, 5_000);
  });

  it('keeps the order, and takes WITH, VALUES and comments', async () => {
    const sql =
      'WITH t AS (SELECT id FROM pending_sf_sync) SELECT id FROM t ORDER BY id DESC LIMIT 3; -- the end';
    assert.deepEqual(await valuesOf(sql), [['id'], ['5000'], ['4999'], ['4998']]);
    assert.deepEqual(await valuesOf('VALUES (1, $1)', ['a']), [
      ['column1', 'column2'],
      ['1', 'a'],
    ]);
  });

  it('refuses what select refuses', async () => {
    for (const sql of [
      'SELECT 1 AS a, 2 AS a',
      'SELECT 1',
      'DELETE FROM pending_sf_sync',
      'SELECT 1 AS a; SELECT 2 AS b',
    ]) {
      await assert.rejects(allOf({ sql }), { code: 'CONFIG_INVALID' });
    }
    await assert.rejects(allOf({ sql: 'SELECT 1 / (id - 4000) AS n FROM pending_sf_sync' }), {
      code: 'DB_QUERY_FAILED',
      sqlState: '22012',
    });
  });

  it('writes no faster than its reader takes the files', async () => {
    const written = files;
    const copying = copy({ sql: 'SELECT * FROM pending_sf_sync', maxBytes: 10_000 });
    await copying.next();
    assert.ok(files - written <= 1);
    await copying.next();
    assert.ok(files - written <= 2);
    await copying.return();
  });

  it('says which file could not be written', async () => {
    const missing = join(folder, 'missing', '1.csv');
    await assert.rejects(allOf({ sql: 'SELECT 1 AS n', nextPath: () => missing }), {
      code: 'LOAD_BROKEN_OFF',
      message: /missing\/1\.csv/,
    });
  });

  it('stops on the signal, in the middle of the query', async () => {
    const stop = new AbortController();
    const sql = 'SELECT pg_sleep(60)::text AS s';
    const copying = assert.rejects(allOf({ sql, signal: stop.signal }), /redeploy/);
    await until(async () => (await db.query(`${COPIES} AND state = 'active'`)).rows.length === 1, 'it runs');
    stop.abort(new Error('redeploy'));
    await copying;
  });

  it('stops on the signal between two files', async () => {
    const stop = new AbortController();
    const copying = copy({ sql: 'SELECT * FROM pending_sf_sync', maxBytes: 10_000, signal: stop.signal });
    await copying.next();
    stop.abort(new Error('redeploy'));
    await until(async () => (await db.query(COPIES)).rows.length === 0, 'the session is gone');
    await assert.rejects(copying.next(), /redeploy/);
  });

  it('says that the connection broke', async () => {
    const proxy = await TcpProxy.start(at);
    const shaky = new Database({ ...configOf(at), port: proxy.port });
    const sql = "SELECT g, repeat('x', 1000) AS x FROM generate_series(1, 100000) AS g";
    const copying = copyOut(shaky, { sql, maxBytes: 1_000_000, nextPath });
    await copying.next();
    proxy.cut();
    await assert.rejects(
      async () => {
        for await (const _ of copying);
      },
      { code: 'DB_UNAVAILABLE', retryable: true },
    );
    await shaky.close();
    await proxy.stop();
  });

  it('has the rows that were seeded', async () => {
    const [file] = await allOf({ sql: 'SELECT name FROM pending_sf_sync', maxBytes: 10_000_000 });
    const rows = parse(await readFile(file?.path ?? ''), { columns: true }) as { name: string }[];
    const { kinds } = expectedOutcome({ rows: 5_000 });
    assert.equal(rows.filter(({ name }) => name === '').length, kinds['without name']);
  });
});
