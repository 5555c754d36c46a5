import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseTableName, quoteIdentifier, quoteTable } from '../../src/database/identifiers.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf, testDatabase } from '../support/postgres.ts';

const name = fc
  .oneof(
    fc.string({
      unit: fc.constantFrom('"', '.', ';', '-', "'", '$', '\\', ' ', 'a', 'Z', 'é', '\n'),
      minLength: 1,
      maxLength: 12,
    }),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }),
  )
  .filter((text) => !text.includes('\0') && Buffer.byteLength(text) <= 63);

describe('identifiers', () => {
  let db: Database;

  before(async () => {
    db = new Database(configOf(await testDatabase()));
  });
  after(() => db.close());

  it('are names once quoted, whatever is in them', async () => {
    await fc.assert(
      fc.asyncProperty(name, async (text) => {
        const { rows, fields } = await db.query(`SELECT 1 AS ${quoteIdentifier(text)}`);
        assert.equal(rows.length, 1);
        assert.deepEqual(
          fields.map((field) => field.name),
          [text],
        );
      }),
      { seed: 8, numRuns: 300 },
    );
  });

  it('are read back from how a person writes them', () => {
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(name, name, (schema, table) => {
        assert.deepEqual(parseTableName(`${quoted(schema)}.${quoted(table)}`), { schema, table });
        assert.deepEqual(parseTableName(quoted(table)), { schema: undefined, table });
        assert.equal(quoteTable({ schema, table }), `${quoted(schema)}.${quoted(table)}`);
      }),
      { seed: 9, numRuns: 1_000 },
    );
    assert.deepEqual(parseTableName('Sync.My Table'), { schema: 'Sync', table: 'My Table' });
    assert.deepEqual(parseTableName('plain'), { schema: undefined, table: 'plain' });
    assert.deepEqual(parseTableName('a."b.c"'), { schema: 'a', table: 'b.c' });
  });

  it('that PostgreSQL would cut off are refused', () => {
    assert.throws(() => quoteIdentifier('é'.repeat(32)), {
      code: 'CONFIG_INVALID',
      message: /longer than the 63 bytes/,
    });
    assert.equal(quoteIdentifier('é'.repeat(31)), `"${'é'.repeat(31)}"`);
    assert.throws(() => quoteIdentifier(''), { code: 'CONFIG_INVALID' });
  });
});
