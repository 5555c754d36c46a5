import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { CsvReader } from '../../sandbox/org/csv/csv-reader.ts';
import { CsvScan } from '../../sandbox/org/csv/csv-scan.ts';
import { CsvEncoder, type EncoderOptions } from '../../src/csv/encoder.ts';
import { readRows } from '../../src/csv/result-reader.ts';
import { type ErrorCode, isLoadError } from '../../src/errors.ts';
import { COLUMN_DELIMITERS, type ColumnDelimiter, LINE_ENDINGS } from '../../src/job.ts';
import {
  awkwardText,
  CASES,
  chunked,
  columnNames,
  cuts,
  delimiters,
  lineEndings,
  splitAt,
  withBreaks,
} from './samples.ts';

function encoder(options: Partial<EncoderOptions> = {}): CsvEncoder {
  return new CsvEncoder({
    columns: ['A', 'B'],
    columnDelimiter: 'COMMA',
    lineEnding: 'LF',
    nulls: 'clear',
    ...options,
  });
}

function refuses(code: ErrorCode, pattern: RegExp) {
  return (error: unknown) => isLoadError(error, code) && pattern.test(error.message);
}

describe('the CSV encoder', () => {
  it('writes the header with the line ending of the job', () => {
    assert.equal(encoder({ columns: ['Name', 'A,B'], lineEnding: 'CRLF' }).header, 'Name,"A,B"\r\n');
  });

  it('leaves absent, undefined and empty values empty under both settings of nulls', () => {
    for (const nulls of ['clear', 'ignore'] as const) {
      assert.equal(encoder({ nulls }).encode({ A: '', B: undefined }), ',\n');
      assert.equal(encoder({ nulls }).encode({}), ',\n');
    }
  });

  it('clears a field for null, or ignores it', () => {
    assert.equal(encoder({ nulls: 'clear' }).encode({ A: null, B: 'x' }), '#N/A,x\n');
    assert.equal(encoder({ nulls: 'ignore' }).encode({ A: null, B: 'x' }), ',x\n');
  });

  it('does not take what a record inherits for a value', () => {
    assert.equal(encoder({ columns: ['constructor', 'toString'] }).encode({}), ',\n');
  });

  it('writes numbers, bigints, booleans, dates and bytes', () => {
    const foreignDate = runInNewContext('new Date(86400000)') as unknown;
    const values = [
      1.5,
      -0,
      1e21,
      12345678901234567890n,
      true,
      false,
      new Date(0),
      foreignDate,
      Buffer.from('hé'),
    ];
    const columns = values.map((_, index) => `c${index}`);
    assert.equal(
      encoder({ columns }).encodeValues(values),
      '1.5,0,1e+21,12345678901234567890,true,false,1970-01-01T00:00:00.000Z,1970-01-02T00:00:00.000Z,aMOp\n',
    );
  });

  it('quotes what holds a delimiter, a quote or a line break, and nothing else', () => {
    assert.equal(encoder().encode({ A: 'a,b', B: 'say "hi"' }), '"a,b","say ""hi"""\n');
    assert.equal(encoder().encode({ A: ' a ; b ', B: "it's" }), " a ; b ,it's\n");
    for (const [name, delimiter] of Object.entries(COLUMN_DELIMITERS)) {
      const columnDelimiter = name as ColumnDelimiter;
      assert.equal(
        encoder({ columnDelimiter }).encode({ A: `x${delimiter}y`, B: 'z' }),
        `"x${delimiter}y"${delimiter}z\n`,
      );
    }
  });

  it('turns every kind of line break inside a value into that of the job', () => {
    const record = { A: 'a\r\nb\rc\nd', B: '\r' };
    assert.equal(encoder({ lineEnding: 'LF' }).encode(record), '"a\nb\nc\nd","\n"\n');
    assert.equal(encoder({ lineEnding: 'CRLF' }).encode(record), '"a\r\nb\r\nc\r\nd","\r\n"\r\n');
  });

  it('writes a record of one empty column so that it is a record', () => {
    assert.equal(encoder({ columns: ['A'] }).encode({ A: '' }), '""\n');
    assert.equal(encoder({ columns: ['A'], nulls: 'ignore' }).encode({ A: null }), '""\n');
  });

  it('flattens parent references', () => {
    assert.equal(encoder({ columns: ['Account.Ext__c'] }).encode({ Account: { Ext__c: 'A1' } }), 'A1\n');
  });

  it('refuses what cannot be sent, naming the column and never the value', () => {
    class Interval {
      secret = 'secret';
    }
    const values = [
      () => 'secret',
      Symbol('secret'),
      ['secret'],
      new Interval(),
      new Map([['secret', 1]]),
      new Date(Number.NaN),
      Number.NaN,
      Number.POSITIVE_INFINITY,
      'secret\0',
    ];
    for (const value of values) {
      assert.throws(
        () => encoder().encode({ A: 'x', B: value }),
        (error) => {
          return refuses('RECORD_INVALID', /^"B" /)(error) && !/secret/.test(String(error));
        },
      );
    }
    assert.throws(
      () => encoder().encodeValues([{ a: 1 }, 'x']),
      refuses('RECORD_INVALID', /^"A" holds an object/),
    );
  });

  it('takes 32,000 characters in a field of unknown length', () => {
    encoder().encode({ A: 'é'.repeat(32_000) });
    assert.throws(
      () => encoder().encode({ A: 'é'.repeat(32_001) }),
      refuses('RECORD_TOO_LARGE', /^"A" has 32,001 .* 32,000/),
    );
    assert.throws(
      () => encoder().encode({ A: Buffer.alloc(24_001) }),
      refuses('RECORD_TOO_LARGE', /^"A" has 32,004/),
    );
  });

  it('leaves it to Salesforce whether a value fits a field of known length, up to the longest there is', () => {
    const fieldLengths = new Map([['a', 255]]);
    encoder({ fieldLengths }).encode({ A: 'x'.repeat(131_072) });
    assert.throws(
      () => encoder({ fieldLengths }).encode({ A: 'x'.repeat(131_073) }),
      refuses('RECORD_TOO_LARGE', /131,072/),
    );
    assert.throws(
      () => encoder({ fieldLengths }).encode({ B: 'x'.repeat(32_001) }),
      refuses('RECORD_TOO_LARGE', /"B"/),
    );
  });

  it('takes 400,000 characters in a record, quotes and delimiters not counted', () => {
    const columns = Array.from({ length: 20 }, (_, index) => `c${index}`);
    const values = columns.map(() => '"'.repeat(20_000));
    assert.equal(encoder({ columns }).encodeValues(values).length, 20 * 40_002 + 20);
    values[0] += 'x';
    assert.throws(
      () => encoder({ columns }).encodeValues(values),
      refuses('RECORD_TOO_LARGE', /400,001 .* 400,000/),
    );
  });

  it('refuses a header that cannot be', () => {
    const columns = Array.from({ length: 5001 }, (_, index) => `c${index}`);
    assert.throws(() => encoder({ columns }), refuses('CONFIG_INVALID', /5,000/));
    assert.throws(() => encoder({ columns: ['a\nb'] }), refuses('CONFIG_INVALID', /a\\nb/));
    assert.throws(() => encoder({ columns: ['x'.repeat(32_001)] }), refuses('CONFIG_INVALID', /32,000/));
  });

  const values = fc.oneof(
    { weight: 5, arbitrary: awkwardText },
    fc.constantFrom(null, undefined, true, false, 0, -1.5, 1e300, 10n ** 30n),
    fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }),
    fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
  );
  const table = columnNames(5).chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(fc.array(values, { minLength: columns.length, maxLength: columns.length }), {
        maxLength: 8,
      }),
    }),
  );

  function textOf(value: unknown, nulls: 'clear' | 'ignore'): string {
    if (value === null) return nulls === 'clear' ? '#N/A' : '';
    if (value === undefined) return '';
    if (value instanceof Date) return value.toISOString();
    return Buffer.isBuffer(value) ? value.toString('base64') : String(value);
  }

  it('is read back, cut anywhere, as it was by our reader, by csv-parse and by the org', async () => {
    const nullHandling = fc.constantFrom('clear' as const, 'ignore' as const);
    await fc.assert(
      fc.asyncProperty(
        table,
        delimiters,
        lineEndings,
        nullHandling,
        cuts,
        async ({ columns, rows }, columnDelimiter, lineEnding, nulls, at) => {
          const codec = encoder({ columns, columnDelimiter, lineEnding, nulls });
          const bytes = Buffer.from(codec.header + rows.map((row) => codec.encodeValues(row)).join(''));
          const texts = rows.map((row) => row.map((value) => withBreaks(textOf(value, nulls), lineEnding)));

          const read: Record<string, string>[] = [];
          for await (const batch of readRows(chunked(bytes, at), { columnDelimiter, batchSize: 3 }))
            read.push(...batch);
          assert.deepEqual(
            read.map(Object.entries),
            texts.map((row) => row.map((text, index) => [columns[index], text])),
          );

          const parsed = parse(bytes, {
            delimiter: COLUMN_DELIMITERS[columnDelimiter],
            record_delimiter: LINE_ENDINGS[lineEnding],
          });
          assert.deepEqual(parsed, [columns, ...texts]);

          const scan = new CsvScan(columnDelimiter, lineEnding, 'declared');
          const org = new CsvReader(columnDelimiter);
          const orgRows = splitAt(bytes, at).flatMap((chunk) => {
            scan.push(chunk);
            return org.push(chunk);
          });
          scan.end();
          orgRows.push(...org.end());
          assert.equal(scan.fault, undefined);
          assert.equal(scan.records, rows.length);
          assert.deepEqual(
            orgRows,
            [columns, ...texts].map((row) => ({ values: row, faulty: false })),
          );
        },
      ),
      CASES,
    );
  });
});
