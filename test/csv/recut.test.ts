import assert from 'node:assert/strict';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { type CsvFault, CsvRecutter, type CsvSelection, type RecutterOptions } from '../../src/csv/recut.ts';
import { isLoadError } from '../../src/errors.ts';
import { COLUMN_DELIMITERS } from '../../src/job.ts';
import {
  awkwardText,
  CASES,
  columnNames,
  cuts,
  delimiters,
  lineEndings,
  splitAt,
  withBreaks,
} from './samples.ts';

interface Recut {
  header: string;
  records: string[];
  faults: CsvFault[];
}

const whole = (header: string[]): CsvSelection => ({
  columns: header,
  sources: header.map((_, index) => index),
  keyColumn: undefined,
});

function recut(chunks: readonly (Buffer | string)[], options: Partial<RecutterOptions> = {}): Recut {
  const recutter = new CsvRecutter({ columnDelimiter: 'COMMA', lineEnding: 'LF', select: whole, ...options });
  const records: string[] = [];
  const faults: CsvFault[] = [];
  const take = (): void => {
    if (recutter.fault) faults.push(recutter.fault);
    else records.push(recutter.bytes.toString('utf8', recutter.start, recutter.end));
  };
  for (const chunk of chunks) {
    recutter.feed(Buffer.from(chunk));
    while (recutter.next()) take();
  }
  if (recutter.finish()) take();
  return { header: recutter.header, records, faults };
}

describe('the CSV recutter', () => {
  it('gives each record as it is, with the header apart', () => {
    const { header, records } = recut(['A,B\n1,"x,y"\n2,"say ""hi"""\n']);
    assert.equal(header, 'A,B\n');
    assert.deepEqual(records, ['1,"x,y"', '2,"say ""hi"""']);
  });

  it('takes a last record without a line end, and one whose line end was cut in half', () => {
    assert.deepEqual(recut(['A,B\n1,2']).records, ['1,2']);
    assert.deepEqual(recut(['A,B\r\n1,"2"\r']).records, ['1,"2"']);
  });

  it('strips a byte order mark, even one in pieces, and leaves others alone', () => {
    const bytes = Buffer.from('\uFEFFA,B\n\uFEFF1,2\n');
    const { header, records } = recut([...bytes].map((byte) => Buffer.from([byte])));
    assert.equal(header, 'A,B\n');
    assert.deepEqual(records, ['\uFEFF1,2']);
    assert.equal(recut(['\uFEFF"A","B"\n1,2\n']).header, 'A,B\n');
    assert.deepEqual(recut(['A\n', '\uFEFF1\n']).records, ['\uFEFF1']);
  });

  it('reads nothing from an empty text, a mark alone, or a header alone', () => {
    assert.deepEqual(recut([]), { header: '', records: [], faults: [] });
    assert.deepEqual(recut(['\uFEFF']), { header: '', records: [], faults: [] });
    assert.deepEqual(recut(['A']), { header: 'A\n', records: [], faults: [] });
    assert.deepEqual(recut(['A,B\n']), { header: 'A,B\n', records: [], faults: [] });
  });

  it('leaves out empty lines', () => {
    assert.deepEqual(recut(['\n\r\nA,B\n\n1,2\r\n\r\n3,4\n\n']).records, ['1,2', '3,4']);
  });

  it('turns line breaks inside values into those of the job, lone CR included, quoted or not', () => {
    const text = 'A,B\r\n"a\r\nb\rc\nd",x\r\ny\rz,1\r\n';
    assert.deepEqual(recut([text]).records, ['"a\nb\nc\nd",x', '"y\nz",1']);
    assert.deepEqual(recut([text], { lineEnding: 'CRLF' }).records, ['"a\r\nb\r\nc\r\nd",x', '"y\r\nz",1']);
  });

  it('drops, doubles and reorders columns without touching values', () => {
    const select = (header: string[]): CsvSelection => {
      assert.deepEqual(header, ['A', 'B', 'C']);
      return { columns: ['C', 'A', 'Z'], sources: [2, 0, 2], keyColumn: undefined };
    };
    const { header, records } = recut(['A,B,C\n1,"x,""y",3\n,,\n"é,",2,"a\nb"\n'], { select });
    assert.equal(header, 'C,A,Z\n');
    assert.deepEqual(records, ['3,1,3', ',,', '"a\nb","é,","a\nb"']);
  });

  it('keeps a record of which only an empty column is left', () => {
    const select = (): CsvSelection => ({ columns: ['B'], sources: [1], keyColumn: undefined });
    assert.deepEqual(recut(['A,B\n1,\n2,""\n'], { select }).records, ['""', '""']);
  });

  it('grows with the longest record it takes apart', () => {
    const select = (): CsvSelection => ({ columns: ['B', 'C'], sources: [0, 0], keyColumn: undefined });
    const long = 'x'.repeat(30_000);
    assert.deepEqual(recut([`A,B\n1,2\n${long},2\n`], { select }).records, ['1,1', `${long},${long}`]);
  });

  it('finds fault with a record that Salesforce could not take, and goes on', () => {
    const text = Buffer.concat([
      Buffer.from('A,B\n1,2\n1\n1,2,3\n5" pipe,2\n"a"b,2\n"a" ,2\n "a",2\n"nul\0",2\n'),
      Buffer.from([0xe9, 0x2c, 0x32, 0x0a]),
      Buffer.from('last,3\n'),
    ]);
    const { records, faults } = recut([text]);
    assert.deepEqual(records, ['1,2', 'last,3']);
    assert.deepEqual(
      faults.map(({ code, record }) => [code, record]),
      [
        ['RECORD_INVALID', { _csv: '1' }],
        ['RECORD_INVALID', { _csv: '1,2,3' }],
        ['RECORD_INVALID', { _csv: '5" pipe,2' }],
        ['RECORD_INVALID', { _csv: '"a"b,2' }],
        ['RECORD_INVALID', { _csv: '"a" ,2' }],
        ['RECORD_INVALID', { _csv: ' "a",2' }],
        ['RECORD_INVALID', { A: 'nul\0', B: '2' }],
        ['RECORD_INVALID', { _csv: 'é,2' }],
      ],
    );
    assert.match(faults[0]?.message ?? '', /^CSV line 3: .*1 values.*2 columns/);
    assert.match(faults[7]?.message ?? '', /^CSV line 10: .*not UTF-8/);
    for (const { message } of faults) assert.doesNotMatch(message, /pipe/);
  });

  it('finds fault with a value or a record that is too long, in characters and not in bytes', () => {
    const fits = 'é'.repeat(32_000);
    const long = 'é'.repeat(32_001);
    const { records, faults } = recut([`A,B\n${fits},"1"\n${long},2\n`]);
    assert.deepEqual(records, [`${fits},1`]);
    assert.deepEqual(
      faults.map(({ code, record }) => [code, record]),
      [['RECORD_TOO_LARGE', { A: long, B: '2' }]],
    );
    assert.match(faults[0]?.message ?? '', /^CSV line 3: "A" has 32,001/);
    assert.equal(recut([`A,B\n${long},2\n`], { fieldLengths: new Map([['A', 32_768]]) }).faults.length, 0);

    const names = Array.from({ length: 20 }, (_, index) => `c${index}`);
    const many = names.map(() => 'x'.repeat(20_001)).join(',');
    const { faults: sums } = recut([`${names.join(',')}\n${many}\n`]);
    assert.match(sums[0]?.message ?? '', /400,020/);
  });

  it('finds fault with a record whose key is empty', () => {
    const select = (header: string[]): CsvSelection => ({ ...whole(header), keyColumn: 'B' });
    const { records, faults } = recut(['A,B\n1,x\n2,\n3,""\n4,#N/A\n5,"""x"""\n'], { select });
    assert.deepEqual(records, ['1,x', '5,"""x"""']);
    assert.deepEqual(
      faults.map(({ record }) => record.A),
      ['2', '3', '4'],
    );
    assert.match(faults[0]?.message ?? '', /^CSV line 3: B is empty/);
  });

  it('breaks off at a text that ends within quotes, naming where the record begins', () => {
    for (const text of ['A,B\n1,2\n3,"4\n5,6\n', 'A,B\n1,2\n3,"4""', 'A,B\n1,2\n3,"4\r']) {
      assert.throws(
        () => recut([text]),
        (error) => isLoadError(error, 'RECORD_INVALID') && /line 3/.test(error.message),
      );
    }
  });

  it('breaks off at a record that never ends, holding no more of it than it must', () => {
    const chunk = 'x'.repeat(4 * 1024 * 1024);
    assert.throws(
      () => recut(['A\n"', ...Array.from({ length: 10 }, () => chunk)]),
      (error) => isLoadError(error, 'RECORD_INVALID') && /line 2 .*16,777,216/.test(error.message),
    );
  });

  it('refuses a header that cannot be read', () => {
    for (const text of [
      'A"B,C\n',
      '"A"x,C\n',
      Buffer.from('\xff\xfeA\0,\0B\0\n\0', 'latin1'),
      'A,,C\n',
      'A\0,B\n',
    ]) {
      assert.throws(
        () => recut([text]),
        (error) => isLoadError(error, 'CONFIG_INVALID'),
      );
    }
  });

  const breaks = fc.constantFrom('\n', '\r\n');
  const cell = fc.record({ text: awkwardText, isQuoted: fc.boolean() });
  const source = columnNames(5).chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(
        fc.record({
          cells: fc.array(cell, { minLength: columns.length, maxLength: columns.length }),
          end: breaks,
          emptyLines: fc.array(breaks, { maxLength: 2 }),
        }),
        { maxLength: 6 },
      ),
      hasMark: fc.boolean(),
      endsOpen: fc.boolean(),
    }),
  );

  it('makes the same records of any CSV, cut anywhere, as csv-parse reads in it', () => {
    fc.assert(
      fc.property(
        source,
        delimiters,
        lineEndings,
        cuts,
        ({ columns, rows, hasMark, endsOpen }, columnDelimiter, lineEnding, at) => {
          const delimiter = COLUMN_DELIMITERS[columnDelimiter];
          const write = (text: string, isQuoted: boolean): string =>
            isQuoted || /["\r\n]/.test(text) || text.includes(delimiter) || text === ''
              ? `"${text.replaceAll('"', '""')}"`
              : text;
          const lines = [
            `${columns.map((name) => write(name, false)).join(delimiter)}\r\n`,
            ...rows.map(({ cells, end, emptyLines }) =>
              [
                cells.map(({ text, isQuoted }) => write(text, isQuoted)).join(delimiter),
                end,
                ...emptyLines,
              ].join(''),
            ),
          ];
          const text = lines.join('');
          const bytes = Buffer.from(
            (hasMark ? '\uFEFF' : '') + (endsOpen ? text.replace(/[\r\n]+$/, '') : text),
          );

          const { header, records, faults } = recut(splitAt(bytes, at), { columnDelimiter, lineEnding });

          const options = { delimiter, record_delimiter: ['\r\n', '\n'], bom: true, skip_empty_lines: true };
          const expected = (parse(bytes, options) as string[][]).map((row) =>
            row.map((value) => withBreaks(value, lineEnding)),
          );
          const ending = lineEnding === 'LF' ? '\n' : '\r\n';
          const result = header + records.map((record) => record + ending).join('');
          assert.deepEqual(faults, []);
          assert.equal(records.length, rows.length);
          assert.deepEqual(parse(result, { delimiter, record_delimiter: ending }), expected);
          if (lineEnding === 'LF') assert.doesNotMatch(result, /\r/);
          else assert.doesNotMatch(result, /\r(?!\n)|(?<!\r)\n/);
        },
      ),
      CASES,
    );
  });
});
