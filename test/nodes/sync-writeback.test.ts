import assert from 'node:assert/strict';
import syncWriteback from '../../nodes/sync-writeback.ts';
import { Database } from '../../src/database/pool.ts';
import { LoadError } from '../../src/errors.ts';
import { handled, nodeHelper, observe } from '../support/node-helper.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

describe('sync-writeback', () => {
  nodeHelper.use();
  let where: TestDatabase;
  let db: Database;

  before(async () => {
    where = await testDatabase();
    db = new Database(configOf(where));
  });
  after(() => db.close());
  beforeEach(async () => {
    await db.query('DROP TABLE IF EXISTS source');
    await db.query('CREATE TABLE source (key text PRIMARY KEY, status text, detail jsonb)');
    await db.query("INSERT INTO source (key) SELECT 'C-' || n FROM generate_series(1, 3) AS n");
  });

  function load(change: object = {}, at: Record<string, unknown> = {}): Promise<Bench> {
    const set = [{ column: 'status', value: 'DONE', valueType: 'str' }];
    const node = {
      id: 'n',
      type: 'sync-writeback',
      database: 'db',
      table: 'source',
      keyColumn: 'key',
      keyField: 'Key__c',
      set,
    };
    return Bench.load({
      database: where,
      modules: [syncWriteback],
      nodes: [{ ...node, ...change, wires: [['marked?']] }],
      db: at,
    });
  }

  async function marked(): Promise<string[]> {
    const { rows } = await db.query<{ key: string }>(
      "SELECT key FROM source WHERE status = 'DONE' ORDER BY key",
    );
    return rows.map(({ key }) => key);
  }

  it('counts keys that match no row, and names some of them, in one warning', async () => {
    const bench = await load();
    const strangers = Array.from({ length: 7 }, (_, n) => ({ Key__c: `X-${n}` }));
    const payload = [{ Key__c: 'C-1' }, ...strangers, { Key__c: 'C-2' }];
    assert.equal(await handled(bench.node('n'), { payload }), undefined);
    await until(() => bench.at('marked?').length === 1, 'the batch is sent on');
    assert.equal(bench.at('marked?')[0]?.updated, 2);
    assert.deepEqual(bench.warnings('n'), [
      '7 keys of a batch of 9 match no row (X-0, X-1, X-2, X-3, X-4, …); nothing was marked for them.',
    ]);
    assert.deepEqual(await marked(), ['C-1', 'C-2']);
  });

  it('names all of a few, and shortens a long one', async () => {
    const bench = await load();
    await handled(bench.node('n'), { payload: [{ Key__c: 'x'.repeat(1000) }, { Key__c: 'b' }] });
    assert.deepEqual(bench.warnings('n'), [
      `2 keys of a batch of 2 match no row (b, ${'x'.repeat(40)}); nothing was marked for them.`,
    ]);
  });

  it('counts records without a key', async () => {
    const bench = await load();
    assert.equal(
      await handled(bench.node('n'), { payload: [{ Key__c: 'C-1' }, { other: 1 }, { Key__c: null }] }),
      undefined,
    );
    assert.deepEqual(bench.warnings('n'), [
      '2 records of a batch of 3 have no key; nothing was marked for them.',
    ]);
  });

  it('finds the key of a failure in its originalData', async () => {
    const bench = await load();
    await handled(bench.node('n'), { payload: [{ key: 'C-1', originalData: { Key__c: 'C-3' } }] });
    assert.deepEqual(await marked(), ['C-3']);
    assert.deepEqual(bench.warnings('n'), []);
  });

  it('passes a batch of none on, and changes nothing', async () => {
    const bench = await load();
    assert.equal(await handled(bench.node('n'), { payload: [] }), undefined);
    await until(() => bench.at('marked?').length === 1, 'the batch is sent on');
    assert.equal(bench.at('marked?')[0]?.updated, 0);
    assert.deepEqual(await marked(), []);
  });

  it('keeps half a surrogate pair, a NUL and a backslash from failing a batch with a jsonb column', async () => {
    const bench = await load({ set: [{ column: 'detail', value: 'text', valueType: 'field' }] });
    const text = 'half \ud800, NUL \0, literal \\u0000';
    assert.equal(await handled(bench.node('n'), { payload: [{ Key__c: 'C-1', text }] }), undefined);
    const { rows } = await db.query("SELECT detail FROM source WHERE key = 'C-1'");
    assert.deepEqual(rows, [{ detail: 'half \ufffd, NUL \ufffd, literal \\u0000' }]);
  });

  it('waits for a database that is away, and says so', async () => {
    const proxy = await TcpProxy.start(where);
    try {
      proxy.cut();
      const bench = await load({}, { host: '127.0.0.1', port: proxy.port });
      const { statuses } = observe(bench.node('n'));
      const written = handled(bench.node('n'), { payload: [{ Key__c: 'C-1' }] });
      await until(
        () => statuses.some(({ text }) => /database is away/.test(text ?? '')),
        'the status says so',
      );
      proxy.heal();
      assert.equal(await written, undefined);
      assert.deepEqual(await marked(), ['C-1']);
    } finally {
      await proxy.stop();
    }
  });

  for (const change of [{ table: 'nowhere' }, { keyColumn: 'no_key' }]) {
    it(`names what is not there: ${Object.values(change)}`, async () => {
      const bench = await load(change);
      const error = await handled(bench.node('n'), { payload: [{ Key__c: 'C-1' }] });
      assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
      assert.match(error.message, /nowhere|no_key/);
    });
  }
});
