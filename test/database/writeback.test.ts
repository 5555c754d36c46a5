import assert from 'node:assert/strict';
import { Database } from '../../src/database/pool.ts';
import { Writeback, type WritebackValue } from '../../src/database/writeback.ts';
import type { SourceRecord } from '../../src/record.ts';
import { configOf, testDatabase } from '../support/postgres.ts';

const str = (column: string, value: string): WritebackValue => ({ column, value, valueType: 'str' });
const field = (column: string, value: string): WritebackValue => ({ column, value, valueType: 'field' });

describe('write-back', () => {
  let db: Database;

  before(async () => {
    db = new Database(configOf(await testDatabase()));
  });
  after(() => db.close());
  beforeEach(async () => {
    await db.query(`
      DROP TABLE IF EXISTS source;
      CREATE TABLE source (
        id bigint PRIMARY KEY, external_id text, status text NOT NULL DEFAULT 'READY', sf_id varchar(18),
        amount numeric(10,2), at timestamptz, details jsonb, tags text[], done boolean, day date
      );
      INSERT INTO source (id, external_id) SELECT g, 'C-' || g FROM generate_series(1, 5) AS g`);
  });

  const byExternalId = { table: 'source', keyColumn: 'external_id', keyField: 'External_Id__c' };

  async function rows(columns: string): Promise<unknown[]> {
    return (await db.query({ text: `SELECT ${columns} FROM source ORDER BY id`, rowMode: 'array' })).rows;
  }

  it('sets texts and fields of successes, and counts rows', async () => {
    const writeback = new Writeback(db, {
      ...byExternalId,
      set: [str('status', 'DONE'), field('sf_id', 'sf__Id')],
    });
    const result = await writeback.write([
      { sf__Id: '003A', External_Id__c: 'C-1' },
      { sf__Id: '003B', External_Id__c: 'C-3' },
    ]);
    assert.deepEqual(result, { updated: 2, missing: 0, missingKeys: [], withoutKey: 0 });
    assert.deepEqual(await rows('id, status, sf_id'), [
      ['1', 'DONE', '003A'],
      ['2', 'READY', null],
      ['3', 'DONE', '003B'],
      ['4', 'READY', null],
      ['5', 'READY', null],
    ]);
    assert.deepEqual(
      await writeback.write([{ sf__Id: '003A', External_Id__c: 'C-1' }]),
      { updated: 1, missing: 0, missingKeys: [], withoutKey: 0 },
      'again',
    );
  });

  it('finds fields in a failure and in its originalData', async () => {
    const writeback = new Writeback(db, {
      table: 'source',
      keyColumn: 'id',
      keyField: 'originalData.key',
      set: [field('status', 'error'), field('sf_id', 'Owner.Ext__c'), field('external_id', 'Parent.Code')],
    });
    await writeback.write([
      {
        key: 'not this one',
        error: 'DUPLICATE_VALUE:x',
        originalData: { key: '2', error: 'not this one', 'Owner.Ext__c': 'O1', Parent: { Code: 'P1' } },
      },
    ]);
    assert.deepEqual((await rows('status, sf_id, external_id'))[1], ['DUPLICATE_VALUE:x', 'O1', 'P1']);
  });

  it('casts values to the columns’ types', async () => {
    const set = [
      field('amount', 'amount'),
      field('at', 'at'),
      field('details', 'details'),
      field('tags', 'tags'),
      field('done', 'done'),
      field('day', 'day'),
    ];
    const writeback = new Writeback(db, { table: 'source', keyColumn: 'id', keyField: 'id', set });
    await writeback.write([
      {
        id: 1,
        amount: '12.5',
        at: '2026-01-01T02:00:00+01:00',
        details: { a: ['x\0'] },
        tags: ['a,b', 'c'],
        done: 'true',
        day: '2026-03-29',
      },
      {
        id: '2',
        amount: 3,
        at: new Date('2026-01-01T02:00:00Z'),
        details: 'a text',
        tags: [],
        done: false,
        day: '',
      },
      { id: 3n, amount: '', at: null, details: ['a'], tags: null, done: '', day: undefined },
    ]);
    assert.deepEqual(await rows('amount, at, details, tags, done, day'), [
      ['12.50', new Date('2026-01-01T01:00:00Z'), { a: ['x\ufffd'] }, ['a,b', 'c'], true, '2026-03-29'],
      ['3.00', new Date('2026-01-01T02:00:00Z'), 'a text', [], false, null],
      [null, null, ['a'], null, null, null],
      [null, null, null, null, null, null],
      [null, null, null, null, null, null],
    ]);
  });

  it('takes a text for all in the column’s type too', async () => {
    const set = [
      str('at', '2026-01-01 00:00Z'),
      str('details', '{"by": "loader"}'),
      str('done', ''),
      str('status', ''),
    ];
    await new Writeback(db, { table: 'source', keyColumn: 'id', keyField: 'id', set }).write([{ id: 4 }]);
    assert.deepEqual((await rows('at, details, done, status'))[3], [
      new Date('2026-01-01T00:00:00Z'),
      { by: 'loader' },
      null,
      '',
    ]);
  });

  it('lets the later of two records with one key count, also when they are spelt in two ways', async () => {
    const writeback = new Writeback(db, {
      table: 'source',
      keyColumn: 'id',
      keyField: 'id',
      set: [field('status', 's')],
    });
    const result = await writeback.write([
      { id: '1', s: 'first' },
      { id: '2', s: 'other' },
      { id: '01', s: 'last' },
    ]);
    assert.deepEqual(result, { updated: 2, missing: 0, missingKeys: [], withoutKey: 0 });
    assert.deepEqual((await rows('status')).slice(0, 2), [['last'], ['other']]);
  });

  it('counts keys that match no row, and records without a key', async () => {
    const writeback = new Writeback(db, { ...byExternalId, set: [str('status', 'DONE')] });
    const result = await writeback.write([
      { External_Id__c: 'C-1' },
      { External_Id__c: 'C-99' },
      { External_Id__c: 'C-99' },
      { External_Id__c: null },
      {},
    ]);
    assert.deepEqual(result, { updated: 1, missing: 1, missingKeys: ['C-99'], withoutKey: 2 });
    assert.deepEqual(await writeback.write([]), { updated: 0, missing: 0, missingKeys: [], withoutKey: 0 });
    assert.deepEqual(await writeback.write([{}]), { updated: 0, missing: 0, missingKeys: [], withoutKey: 1 });
  });

  it('changes all rows of a key that is not unique', async () => {
    await db.query("UPDATE source SET external_id = 'same' WHERE id < 4");
    const writeback = new Writeback(db, { ...byExternalId, set: [str('status', 'DONE')] });
    assert.deepEqual(await writeback.write([{ External_Id__c: 'same' }]), {
      updated: 3,
      missing: 0,
      missingKeys: [],
      withoutKey: 0,
    });
  });

  it('takes names with any characters, and keeps values values', async () => {
    await db.query(`
      CREATE SCHEMA "my ""schema""";
      CREATE TABLE "my ""schema"""."a.b;--" ("Key $1" text, "set" text);
      INSERT INTO "my ""schema"""."a.b;--" VALUES ('k', 'old')`);
    const writeback = new Writeback(db, {
      table: '"my ""schema"""."a.b;--"',
      keyColumn: 'Key $1',
      keyField: "it's; DROP TABLE source",
      set: [field('set', 'v')],
    });
    const evil = "'); DROP TABLE source; --";
    const record: SourceRecord = { "it's; DROP TABLE source": 'k', v: evil };
    assert.equal((await writeback.write([record])).updated, 1);
    const { rows: stored } = await db.query('SELECT "set" FROM "my ""schema"""."a.b;--"');
    assert.deepEqual(stored, [{ set: evil }]);
    assert.equal((await rows('id')).length, 5);
  });

  it('says which table or column is not there', async () => {
    const set = [str('status', 'DONE')];
    await assert.rejects(new Writeback(db, { ...byExternalId, table: 'Source', set }).write([{}]), {
      code: 'CONFIG_INVALID',
      message: /There is no table Source in database "test_\d+" for user "sandbox"/,
    });
    await assert.rejects(new Writeback(db, { ...byExternalId, set: [str('state', 'DONE')] }).write([{}]), {
      code: 'CONFIG_INVALID',
      message: /Table "source" has no column "state"\. It has id, external_id, status/,
    });
    assert.throws(() => new Writeback(db, { ...byExternalId, set: [] }), { code: 'CONFIG_INVALID' });
    assert.throws(() => new Writeback(db, { ...byExternalId, set: [...set, ...set] }), {
      code: 'CONFIG_INVALID',
      message: /column "status" twice/,
    });
    for (const table of ['', 'a.b.c', 'a.', '.b', '"a', 'a"b', `${'x'.repeat(64)}`, 'a\0']) {
      await assert.rejects(new Writeback(db, { ...byExternalId, table, set }).write([{}]), {
        code: 'CONFIG_INVALID',
      });
    }
  });

  it('refuses what does not suit the column, cuts nothing off, and tells no value', async () => {
    const writeback = new Writeback(db, { ...byExternalId, set: [field('sf_id', 'v')] });
    await assert.rejects(writeback.write([{ External_Id__c: 'C-1', v: 'Secret'.repeat(10) }]), {
      code: 'DB_QUERY_FAILED',
      sqlState: '22001',
      message: /value too long for type character varying\(18\)/,
    });
    const typed = new Writeback(db, { ...byExternalId, set: [field('amount', 'v')] });
    await assert.rejects(typed.write([{ External_Id__c: 'C-1', v: 'Secret' }]), (error: Error) => {
      assert.doesNotMatch(error.message, /Secret/);
      return true;
    });
    assert.deepEqual((await rows('sf_id, amount'))[0], [null, null], 'nothing was written');
  });

  it('writes 10,000 records with one statement', async () => {
    await db.query(
      "INSERT INTO source (id, external_id) SELECT g, 'C-' || g FROM generate_series(6, 10000) AS g",
    );
    const records = Array.from({ length: 10_000 }, (_, index) => ({
      External_Id__c: `C-${index + 1}`,
      sf__Id: `003${index}`,
    }));
    const writeback = new Writeback(db, {
      ...byExternalId,
      set: [str('status', 'DONE'), field('sf_id', 'sf__Id')],
    });
    assert.deepEqual(await writeback.write(records), {
      updated: 10_000,
      missing: 0,
      missingKeys: [],
      withoutKey: 0,
    });
  });
});
