import assert from 'node:assert/strict';
import fc from 'fast-check';
import { systemClock } from '../../src/clock.ts';
import { readRows } from '../../src/csv/result-reader.ts';
import { DeadLetters } from '../../src/database/dead-letters.ts';
import { Database } from '../../src/database/pool.ts';
import { Replay } from '../../src/database/replay.ts';
import { Writeback } from '../../src/database/writeback.ts';
import type { FailedRow } from '../../src/failure.ts';
import { createClassifier } from '../../src/failures/classify.ts';
import { parseError } from '../../src/failures/parse-error.ts';
import { RestRecords } from '../../src/failures/rest-record.ts';
import type { OwnRule } from '../../src/failures/rules/own-rules.ts';
import { RecordBag } from '../../src/load/record-bag.ts';
import { aLetter } from '../database/letter-samples.ts';
import { configOf, testDatabase } from '../support/postgres.ts';

/** Issue 5, acceptance 5: nothing in a row, a name or a rule becomes SQL, hangs the process, or changes what all objects have. */

/** As in SQL: whatever is in it, between quotes it is a name. */
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

const NAMES = [
  `letters"; DROP TABLE canary; --`,
  `letters'; DROP TABLE canary; --`,
  'a.b',
  ' ',
  '$1',
  '$& $` {{table}}',
  'back\\slash',
  'select',
  'Größe 表 🌩',
  'tab\tand\nline',
  'letters\n; DROP TABLE canary; --',
  '/* canary */',
  '%s %I %L',
  `${'ü'.repeat(31)}x`,
];

const VALUES = [
  `'); DROP TABLE canary; --`,
  `"; DROP TABLE canary; --`,
  '$1 $2 ${x} {{table}}',
  '{"a": 1}',
  '{1,2}',
  'NULL',
  'back\\slash \\" \\u0000 \\ud800 \\x41',
  'NUL \0 in the middle',
  'half \ud800 a pair \udc00',
  'pair \ud83c\udf29',
  '\u202eright to left, \u0007 bell, \ufeff mark',
  'x'.repeat(1_000_000),
  `${"'".repeat(50_000)}${'\\'.repeat(50_000)}`,
  '',
  ' ',
];

/** What PostgreSQL cannot hold. */
const kept = (text: string) => text.replaceAll('\0', '\ufffd').toWellFormed();

async function within<T>(milliseconds: number, work: () => T | Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  const took = performance.now() - begun;
  assert.ok(took < milliseconds, `${Math.round(took)} ms`);
  return result;
}

describe('names and values on their way into SQL', () => {
  let db: Database;

  before(async () => {
    db = new Database(configOf(await testDatabase()));
    await db.query('CREATE TABLE canary (id int)');
  });
  after(async () => {
    await db.query('SELECT FROM canary');
    await db.close();
  });

  for (const name of NAMES) {
    it(`a table and a column called ${JSON.stringify(name)} are no more than that`, async () => {
      const table = quoted(name);
      const letters = new DeadLetters(db, { table, createTable: true });
      await letters.store([aLetter({ recordData: { [name]: name } })]);
      const replay = new Replay(db, table, systemClock);
      const filter = { category: undefined, errorCode: undefined, jobId: undefined };
      const claim = await replay.claim(filter, 10);
      assert.deepEqual(claim?.records, [{ [name]: name }]);
      await replay.giveBack(claim?.id ?? '', claim?.letters ?? []);
      const again = await replay.claim({ ...filter }, 10);
      await replay.settlePart(again?.id ?? '', [['0', null]]);
      assert.deepEqual(await replay.openClaims(), []);
      assert.deepEqual((await db.query(`SELECT status FROM ${table}`)).rows, [{ status: 'replayed' }]);

      const source = quoted(`${[...name].slice(0, 20).join('')} s`);
      await db.query(
        `CREATE TABLE ${source} (${quoted(name)} text, ${quoted(`${[...name].slice(0, 20).join('')}2`)} text)`,
      );
      await db.query(`INSERT INTO ${source} VALUES ('k')`);
      const writeback = new Writeback(db, {
        table: source,
        keyColumn: name,
        keyField: name,
        set: [{ column: `${[...name].slice(0, 20).join('')}2`, value: name, valueType: 'field' }],
      });
      assert.equal((await writeback.write([{ [name]: 'k' }])).updated, 1);
      assert.deepEqual((await db.query({ text: `SELECT * FROM ${source}`, rowMode: 'array' })).rows, [
        ['k', 'k'],
      ]);
    });
  }

  for (const [what, name] of [
    ['64 bytes', `${'ü'.repeat(31)}xy`],
    ['a NUL', 'a\0b'],
    ['no character', ''],
  ] as const) {
    it(`a name of ${what} is refused before it reaches the server`, async () => {
      const refused = { code: 'CONFIG_INVALID' };
      await assert.rejects(
        new DeadLetters(db, { table: quoted(name), createTable: true }).prepare(),
        refused,
      );
      await assert.rejects(new Replay(db, quoted(name), systemClock).check(), refused);
      const set = [{ column: 'id', value: 'x', valueType: 'str' as const }];
      const writeback = { table: 'canary', keyColumn: 'id', keyField: 'id', set };
      await assert.rejects(
        new Writeback(db, { ...writeback, table: quoted(name) }).write([{ id: 1 }]),
        refused,
      );
      await assert.rejects(new Writeback(db, { ...writeback, keyColumn: name }).write([{ id: 1 }]), refused);
      const other = [{ column: name, value: 'x', valueType: 'str' as const }];
      await assert.rejects(new Writeback(db, { ...writeback, set: other }).write([{ id: 1 }]), refused);
    });
  }

  it('a name that is no name is refused in no time, however long', async () => {
    for (const name of [
      '"'.repeat(100_001),
      '"a'.repeat(100_000),
      'a.'.repeat(100_000),
      '".'.repeat(100_000),
    ]) {
      await within(500, () =>
        assert.rejects(new DeadLetters(db, { table: name, createTable: true }).prepare(), {
          code: 'CONFIG_INVALID',
        }),
      );
    }
  });

  it('values are stored as they are, in a letter and in the source table', async () => {
    const letters = new DeadLetters(db, { table: 'of_values', createTable: true });
    await db.query('CREATE TABLE values_source (id int PRIMARY KEY, t text, j jsonb, a text[])');
    await db.query('INSERT INTO values_source SELECT g FROM generate_series(0, $1) AS g', [
      VALUES.length - 1,
    ]);
    await letters.store(
      VALUES.map((value, index) =>
        aLetter({
          key: `${index} ${value.slice(0, 100)}`,
          recordData: { index, [value.slice(0, 100)]: value, deep: [{ value: value.slice(0, 1000) }] },
          errorMessage: value.slice(0, 1000),
          errorCode: value.slice(0, 100),
          errorCategory: value.slice(0, 100),
          jobId: value.slice(0, 100),
          runId: value.slice(0, 100),
          loadName: value.slice(0, 100),
          object: value.slice(0, 100),
          operation: value.slice(0, 100),
          externalIdField: value.slice(0, 100),
          attempts: [
            { at: value.slice(0, 100), via: 'bulk', errorCode: value.slice(0, 1000), errorMessage: '' },
          ],
        }),
      ),
    );
    const { rows } = await db.query("SELECT * FROM of_values ORDER BY (record_data ->> 'index')::int");
    for (const [index, value] of VALUES.entries()) {
      const row = rows[index];
      const short = kept(value.slice(0, 100));
      assert.equal(row?.record_data.deep[0].value, kept(value.slice(0, 1000)));
      assert.equal(row?.record_data[short], kept(value));
      assert.ok(row?.error_message.startsWith(kept(value.slice(0, 1000))));
      for (const column of [
        'error_code',
        'job_id',
        'run_id',
        'load_name',
        'object',
        'operation',
        'external_id_field',
      ])
        assert.equal(row?.[column], short, column);
      assert.equal(row?.attempts[0].errorCode, kept(value.slice(0, 1000)));
    }

    const field = (column: string) => ({ column, value: column, valueType: 'field' as const });
    const set = [field('t'), field('j'), field('a')];
    const writeback = new Writeback(db, { table: 'values_source', keyColumn: 'id', keyField: 'id', set });
    const records = VALUES.map((value, id) => ({
      id,
      t: value,
      j: { value, list: [value] },
      a: [value, value],
    }));
    assert.equal((await writeback.write(records)).updated, VALUES.length);
    const stored = await db.query('SELECT t, j, a FROM values_source ORDER BY id');
    assert.deepEqual(
      stored.rows,
      VALUES.map(kept).map((value) => ({ t: value, j: { value, list: [value] }, a: [value, value] })),
    );
  });

  it('any text is stored as it is, as a value and as a key', async () => {
    const letters = new DeadLetters(db, { table: 'of_any', createTable: true });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.jsonValue()), { minLength: 1, maxLength: 20 }),
        async (pairs) => {
          const batch = pairs.map(([text, value]) =>
            aLetter({ errorMessage: text, recordData: { [text]: text, value } }),
          );
          assert.equal((await letters.store(batch)).stored, batch.length);
          const { rows } = await db.query('SELECT record_data FROM of_any WHERE key = ANY ($1) ORDER BY id', [
            batch.map(({ key }) => key),
          ]);
          for (const [index, [text]] of pairs.entries()) {
            if (text !== 'value') assert.equal(rows[index]?.record_data[kept(text)], kept(text));
          }
        },
      ),
      { seed: 5, numRuns: 25 },
    );
  });

  it('what is no JSON is kept as a text that shows it', async () => {
    const itself: Record<string, unknown> = { name: 'itself' };
    itself.again = itself;
    itself.twice = [itself, itself];
    const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`);
    const letters = new DeadLetters(db, { table: 'of_no_json', createTable: true });
    const payloads = [
      itself,
      deep,
      () => 1,
      Symbol('x'),
      10n,
      new Date(Number.NaN),
      {
        get a() {
          throw new Error('no');
        },
      },
    ];
    await within(2000, () => letters.store(payloads.map((recordData) => aLetter({ recordData }))));
    const { rows } = await db.query('SELECT record_data FROM of_no_json ORDER BY id');
    assert.match(rows[0]?.record_data, /name: 'itself'/);
    assert.match(rows[1]?.record_data, /\[Object\]/);
    assert.deepEqual([rows[2]?.record_data, rows[4]?.record_data], [null, '10']);
  });
});

describe('regular expressions of rules', () => {
  const CATASTROPHIC = [
    '(a+)+$',
    '(a|aa)+$',
    '(a|a?)+$',
    '(.*a){12}$',
    '([a-zA-Z]+)*$',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '(x+x+)+y',
  ];
  const LONG = [`${'a'.repeat(100_000)}!`, 'x'.repeat(100_000), `${'ab'.repeat(50_000)}1`];

  for (const value of CATASTROPHIC) {
    it(`${value} takes no more than its share of time, or is refused`, async () => {
      const rule: OwnRule = { match: 'regex', value, category: 'OTHER', retryable: true };
      const rules = [rule];
      await within(2000, () => {
        const { judge } = createClassifier({ ruleSet: 'complete', rules });
        for (const text of LONG) for (let n = 0; n < 20; n += 1) judge(`${n}${text}`);
      });
    });
  }

  it('a thousand rows with texts of their own, and twenty rules, are judged in a few seconds', async () => {
    const rules = Array.from({ length: 20 }, (_, index): OwnRule => {
      const value = `${CATASTROPHIC[index % CATASTROPHIC.length]}|never${index}`;
      return { match: 'regex', value, category: 'OTHER', retryable: false };
    });
    const { classify } = createClassifier({ ruleSet: 'complete', rules });
    await within(8000, () => {
      for (let n = 0; n < 1000; n += 1)
        classify(
          { sf__Id: '', sf__Key: `k${n}`, sf__Error: `CODE_${n}:${'a'.repeat(300)}!:--` },
          '2026-01-01T00:00:00.000Z',
        );
    });
  });

  it('what RE2 does not have, or what stands for too many steps, is refused with a reason', () => {
    for (const value of [
      '(?=a)',
      '(a)\\1',
      '(a{1,100}){1,100}',
      '((a{1,50}){1,50}){1,50}',
      '(',
      'a'.repeat(2000),
    ]) {
      const rules: OwnRule[] = [{ match: 'regex', value, category: 'OTHER', retryable: true }];
      assert.throws(() => createClassifier({ ruleSet: 'complete', rules }), { code: 'CONFIG_INVALID' });
    }
  });
});

describe('error texts of any length', () => {
  const MEGABYTE = 1_000_000;
  const fill = (part: string) => part.repeat(Math.ceil(MEGABYTE / part.length));
  const TEXTS = [
    'null:',
    'A_',
    'A_B',
    ':--',
    ':a,b --;',
    'A_B:',
    ' ',
    '\n',
    ':',
    '--',
    'A : ',
    'Id ',
    '"',
    'record: a,',
    'too many ',
  ];
  const HEADS = ['', 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:', 'UNABLE_TO_LOCK_ROW:', 'InvalidBatch : '];

  for (const part of TEXTS) {
    it(`a megabyte of ${JSON.stringify(part)} is read and judged at once`, async () => {
      const { judge } = createClassifier({ ruleSet: 'complete' });
      for (const head of HEADS) await within(1500, () => judge(head + fill(part)));
    });
  }

  it('none makes the parser throw', () => {
    const pieces = fc.array(fc.constantFrom(...TEXTS, ...HEADS, 'x', '{', '\0', '\ud800'), { maxLength: 30 });
    fc.assert(
      fc.property(pieces, (parts) => {
        const { errorCode } = parseError(parts.join(''));
        assert.equal(typeof errorCode, 'string');
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});

describe('names that every object has', () => {
  const INHERITED = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf'];
  const before = INHERITED.map((name) => Object.getOwnPropertyDescriptor(Object.prototype, name));
  afterEach(() => {
    assert.deepEqual(
      INHERITED.map((name) => Object.getOwnPropertyDescriptor(Object.prototype, name)),
      before,
    );
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  async function* csv(): AsyncGenerator<Buffer> {
    const header = ['sf__Id', 'sf__Error', ...INHERITED, '__proto__.polluted', 'LastName'];
    const values = [
      '',
      'constructor:__proto__:toString --',
      ...INHERITED.map((name) => `of ${name}`),
      'yes',
      'Miller',
    ];
    yield Buffer.from(`${header.join(',')}\n${values.join(',')}\n`);
  }

  it('are columns like any other, from the result file to the REST record and back to its letter', async () => {
    const rows = [];
    const options = { columnDelimiter: 'COMMA', batchSize: 10, failedRowsOf: '750000000000001AAA' } as const;
    for await (const batch of readRows(csv(), options)) rows.push(...batch);
    const { classify, unknownCodes } = createClassifier({ ruleSet: 'complete' });
    const failure = classify(rows[0] as FailedRow, '2026-01-01T00:00:00.000Z');
    const { originalData } = failure;
    for (const name of INHERITED) {
      assert.ok(Object.hasOwn(originalData, name), name);
      assert.equal(Object.entries(originalData).find(([column]) => column === name)?.[1], `of ${name}`);
    }
    assert.equal(Object.getPrototypeOf(originalData), Object.prototype);
    assert.deepEqual([...unknownCodes], [[failure.errorCode, 1]]);

    const { fields } = new RestRecords({ fields: [] }).toRest(originalData);
    const sent = JSON.stringify(fields);
    for (const name of INHERITED.slice(1)) assert.ok(sent.includes(`"${name}":"of ${name}"`), sent);
    assert.ok(sent.includes('"__proto__":{"polluted":"yes"}'), sent);
    assert.equal(Object.getPrototypeOf(fields), Object.prototype);

    const bag = new RecordBag(Object.keys(originalData));
    bag.add(originalData);
    assert.equal(bag.take(JSON.parse(JSON.stringify(originalData))), true);
    assert.equal(bag.take(originalData), false);
  });

  it('are no booleans, numbers or dates', () => {
    const types = ['boolean', 'int', 'double', 'date', 'string'];
    const object = { fields: types.map((type) => ({ name: `F_${type}`, type })) };
    for (const text of INHERITED) {
      const record = Object.fromEntries(types.map((type) => [`F_${type}`, text]));
      assert.deepEqual(new RestRecords(object).toRest(record).fields, record);
    }
  });

  it('are found in a record by a write-back, and in its letter, only where the record has them itself', async () => {
    const db = new Database(configOf(await testDatabase()));
    try {
      await db.query('CREATE TABLE source (id text PRIMARY KEY, "constructor" text, "__proto__" text)');
      await db.query("INSERT INTO source VALUES ('1'), ('2')");
      const set = ['constructor', '__proto__'].map((column) => ({
        column,
        value: column,
        valueType: 'field' as const,
      }));
      const records = [JSON.parse('{"id": "1", "__proto__": "own", "constructor": "own"}'), { id: '2' }];
      await new Writeback(db, { table: 'source', keyColumn: 'id', keyField: 'id', set }).write(records);
      const { rows } = await db.query({ text: 'SELECT * FROM source ORDER BY id', rowMode: 'array' });
      assert.deepEqual(rows, [
        ['1', 'own', 'own'],
        ['2', null, null],
      ]);
      const letters = new DeadLetters(db, { table: 'letters', createTable: true });
      await letters.store(records.map((recordData) => aLetter({ recordData, externalIdField: '__proto__' })));
      const stored = await db.query('SELECT record_data::text AS text FROM letters ORDER BY id');
      assert.match(stored.rows[0]?.text, /"__proto__": "own"/);
    } finally {
      await db.close();
    }
  });
});
