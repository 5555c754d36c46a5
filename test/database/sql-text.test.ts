import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Database } from '../../src/database/pool.ts';
import { oneQuery, parameterText, withLiterals } from '../../src/database/sql-text.ts';
import { configOf, testDatabase } from '../support/postgres.ts';

describe('text of a query', () => {
  let db: Database;

  before(async () => {
    db = new Database(configOf(await testDatabase()));
  });
  after(() => db.close());

  const places: [string, string][] = [
    ['SELECT $1', "SELECT ('x')"],
    ["SELECT '$1', $1", "SELECT '$1', ('x')"],
    ["SELECT 'it''s $1' || $1", "SELECT 'it''s $1' || ('x')"],
    ["SELECT E'\\'$1' || $1", "SELECT E'\\'$1' || ('x')"],
    ["SELECT E'a'\n '\\'$1', $1", "SELECT E'a'\n '\\'$1', ('x')"],
    ['SELECT "a$1" FROM (SELECT $1 AS "a$1") AS q', `SELECT "a$1" FROM (SELECT ('x') AS "a$1") AS q`],
    ['SELECT $$ $1 $$, $1', "SELECT $$ $1 $$, ('x')"],
    ['SELECT $a$ $1 $$ $1 $a$, $1', "SELECT $a$ $1 $$ $1 $a$, ('x')"],
    ['SELECT col$1, $1', "SELECT col$1, ('x')"],
    ['SELECT $1 -- $1\n, $1', "SELECT ('x') -- $1\n, ('x')"],
    ['SELECT /* $1 /* $1 */ $1 */ $1', "SELECT /* $1 /* $1 */ $1 */ ('x')"],
    ["SELECT U&'\\0061$1', $1", "SELECT U&'\\0061$1', ('x')"],
  ];
  for (const [sql, expected] of places) {
    it(`${JSON.stringify(sql)} has its parameters where PostgreSQL sees them`, () => {
      assert.equal(withLiterals(sql, ['x']), expected);
    });
  }

  it('refuses a parameter without a value', () => {
    assert.throws(() => withLiterals('SELECT $2', ['x']), {
      code: 'CONFIG_INVALID',
      message: /parameter \$2, but 1 values/,
    });
    assert.throws(() => withLiterals('SELECT $0', ['x']), { code: 'CONFIG_INVALID' });
    assert.throws(() => withLiterals('SELECT $1', ['a\0b']), { code: 'CONFIG_INVALID', message: /NUL/ });
  });

  it('keeps everything but the semicolons of one query', () => {
    assert.equal(oneQuery('SELECT \';\' AS ";" /* ; */; -- ;\n;'), 'SELECT \';\' AS ";" /* ; */ -- ;\n');
  });

  it('has literals that PostgreSQL reads back as they were, whatever they are', async () => {
    const value = fc.oneof(
      fc.string({
        unit: fc.constantFrom("'", '"', '\\', '$', '1', '-', '*', '/', ';', '\n', 'E', 'é', '😀', ' '),
      }),
      fc.string({ unit: 'grapheme' }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 3 }), async (values) => {
        const params = values.map((text) => text.replaceAll('\0', ''));
        const list = params.map((_, index) => `$${index + 1}::text AS v${index}`).join(', ');
        const { rows } = await db.query({
          text: withLiterals(`SELECT ${list} -- $1`, params),
          rowMode: 'array',
        });
        assert.deepEqual(rows[0], params);
      }),
      { seed: 5, numRuns: 300 },
    );
  });

  it('cuts texts up as the server does: only real parameters are replaced', async () => {
    const piece = fc.constantFrom(
      "'$1'",
      "'a''$1'",
      "E'\\'$1'",
      "E'\\\\'",
      '"c$1"',
      '$$ $1 $$',
      '$t$ $1 $$ $t$',
      '-- $1\n',
      "/* $1 /* ' */ */",
      '$1',
      'c$1',
      "''",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 6 }), async (pieces) => {
        const items = pieces.flatMap((each) => (/^(--|\/\*)/.test(each) ? [each] : [`${each}, `]));
        const sql = `SELECT ${items.join('')} 0 FROM (SELECT 'column'::text AS "c$1") AS q`;
        const bound = { text: sql, rowMode: 'array' as const, queryMode: 'extended' as const };
        const needsValue = pieces.includes('$1');
        const expected = await db.query(bound, needsValue ? ["v'\\$1--"] : []);
        const actual = await db.query({ text: withLiterals(sql, ["v'\\$1--"]), rowMode: 'array' });
        assert.deepEqual(actual.rows, expected.rows);
      }),
      { seed: 6, numRuns: 300 },
    );
  });

  it('has a value’s text as PostgreSQL writes it', () => {
    assert.equal(parameterText(['a', null, ['b"', 1]]), '{"a",NULL,{"b\\"","1"}}');
    assert.equal(parameterText(Buffer.from('é')), '\\xc3a9');
    assert.equal(parameterText({ n: 1 }), '{"n":1}');
  });
});
