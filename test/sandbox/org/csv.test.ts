import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CsvReader } from '../../../sandbox/org/csv/csv-reader.ts';
import { CsvScan } from '../../../sandbox/org/csv/csv-scan.ts';
import {
  type ColumnDelimiter,
  DELIMITERS,
  LINE_ENDINGS,
  type LineEnding,
} from '../../../sandbox/org/csv/dialect.ts';

const DELIMITER_NAMES = Object.keys(DELIMITERS) as ColumnDelimiter[];

function read(text: string | Buffer, delimiter: ColumnDelimiter = 'COMMA', cut = 7): string[][] {
  const reader = new CsvReader(delimiter);
  const bytes = Buffer.from(text);
  const rows: string[][] = [];
  for (let at = 0; at < bytes.length; at += cut) {
    rows.push(...reader.push(bytes.subarray(at, at + cut)).map((row) => row.values));
  }
  return [...rows, ...reader.end().map((row) => row.values)];
}

function scan(
  text: string | Buffer,
  lineEnding: LineEnding = 'LF',
  cut = 5,
  embedded: 'declared' | 'any' | 'none' = 'declared',
): CsvScan {
  const scanned = new CsvScan('COMMA', lineEnding, embedded);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += cut) {
    scanned.push(bytes.subarray(at, at + cut));
  }
  scanned.end();
  return scanned;
}

describe("the sandbox org's CSV reader", () => {
  it('reads plain, quoted and mixed records', () => {
    assert.deepEqual(read('a,b\n1,"x ""y"", z"\n"line\nbreak",\n'), [
      ['a', 'b'],
      ['1', 'x "y", z'],
      ['line\nbreak', ''],
    ]);
  });

  it('reads the last record without a line end, CRLF, and skips blank lines', () => {
    assert.deepEqual(read('a,b\r\n\r\n1,2\r\n"3","4"'), [
      ['a', 'b'],
      ['1', '2'],
      ['3', '4'],
    ]);
  });

  it('marks a blank beside a quote as a fault of that row', () => {
    const reader = new CsvReader('COMMA');
    const rows = reader.push(Buffer.from('a,b\n"1",2\n3, "4"\n"5" ,6\n'));
    assert.deepEqual(
      rows.map((row) => row.faulty),
      [false, false, true, true],
    );
  });

  it('gives back what was written, for all dialects, however it is cut, and the scan counts as many', () => {
    const value = fc.string({
      unit: fc.constantFrom('a', 'ü', '😀', '"', ',', '|', '^', '`', ';', '\t', ' ', '7'),
      maxLength: 6,
    });
    const table = fc
      .integer({ min: 2, max: 4 })
      .chain((width) =>
        fc.array(fc.array(value, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 }),
      );
    fc.assert(
      fc.property(
        table,
        fc.constantFrom(...DELIMITER_NAMES),
        fc.constantFrom<LineEnding>('LF', 'CRLF'),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        (records, delimiter, lineEnding, cut, breaks) => {
          const end = LINE_ENDINGS[lineEnding];
          const wanted = records.map((record) =>
            record.map((text) => (breaks ? text.replaceAll('7', end) : text)),
          );
          const csv = wanted
            .map(
              (record) =>
                record.map((text) => `"${text.replaceAll('"', '""')}"`).join(DELIMITERS[delimiter]) + end,
            )
            .join('');
          assert.deepEqual(read(csv, delimiter, cut), wanted);
          const scanned = new CsvScan(delimiter, lineEnding, 'declared');
          const bytes = Buffer.from(csv);
          for (let at = 0; at < bytes.length; at += cut) {
            scanned.push(bytes.subarray(at, at + cut));
          }
          scanned.end();
          assert.equal(scanned.fault, undefined);
          assert.equal(scanned.records, wanted.length - 1);
        },
      ),
      { numRuns: 1000, seed: 7 },
    );
  });
});

describe("the sandbox org's check of an upload", () => {
  const cases: [string, string, LineEnding, string | undefined, number][] = [
    ['plain', 'a,b\n1,2\n3,4\n', 'LF', undefined, 2],
    ['plain without the last line end', 'a,b\n1,2\n3,4', 'LF', undefined, 2],
    ['blank lines', 'a\n\n1\n\n', 'LF', undefined, 1],
    ['CRLF declared', 'a,b\r\n1,2\r\n', 'CRLF', undefined, 1],
    ['CRLF in an LF job', 'a,b\r\n1,2\r\n', 'LF', 'line-ending', 0],
    ['LF in a CRLF job', 'a,b\r\n1,2\n', 'CRLF', 'line-ending', 1],
    ['a late CRLF in an LF job', 'a,b\n1,2\n3,4\r\n', 'LF', 'line-ending', 1],
    ['a quoted line break', 'a\n"x\ny"\n', 'LF', undefined, 1],
    ['a quoted line break of the other kind', 'a\n"x\r\ny"\n', 'LF', 'line-ending', 0],
    ['a bare LF inside quotes of a CRLF job', 'a\r\n"x\ny"\r\n', 'CRLF', 'line-ending', 0],
    ['a stray quote', 'a,b\n1,x"y\n', 'LF', 'unescaped-quote', 0],
    ['text after a closing quote', 'a\n"x"y\n', 'LF', 'text-after-quote', 0],
    ['an unclosed quote', 'a\n"x\ny', 'LF', 'open-quote', 0],
    ['a BOM before a quoted header', '\uFEFF"a"\n1\n', 'LF', 'unescaped-quote', 0],
    ['a lone CR in a value', 'a\n1\r2\n', 'LF', undefined, 1],
    ['doubled quotes', 'a\n"x ""y"""\n""\n', 'LF', undefined, 2],
  ];
  for (const [name, text, lineEnding, fault, records] of cases) {
    it(`${name}: ${fault ?? 'accepted'}`, () => {
      for (const cut of [1, 2, 3, 100]) {
        const scanned = scan(text, lineEnding, cut);
        assert.equal(scanned.fault, fault, `cut at ${cut}`);
        if (fault === undefined) {
          assert.equal(scanned.records, records, `cut at ${cut}`);
        }
      }
    });
  }

  it('takes embedded line breaks as the switch says', () => {
    assert.equal(scan('a\n"x\r\ny"\n', 'LF', 3, 'any').fault, undefined);
    assert.equal(scan('a\n"x\ny"\n', 'LF', 3, 'none').fault, 'line-ending');
  });
});
