import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import {
  type ReadRowsOptions,
  RecordCounter,
  type ResultRow,
  readRows,
} from '../../src/csv/result-reader.ts';
import { isLoadError } from '../../src/errors.ts';
import { COLUMN_DELIMITERS, type ColumnDelimiter } from '../../src/job.ts';
import { awkwardText, CASES, chunked, columnNames, cuts, delimiters, splitAt } from './samples.ts';

/** As recorded on a real org (API 60.0), without a last line end. */
const FAILED =
  '"sf__Id","sf__Error",Name,StageName,external_id__c,CloseDate\n' +
  '"","INVALID_FIELD:Failed to deserialize field at col 3. Due to, \'2003-04-98\' is not a valid value for the type xsd:date:CloseDate --","Noemi Miller","GENERATED","external-id-3","2003-04-98"';

async function read(text: string | Buffer, options: Partial<ReadRowsOptions> = {}): Promise<ResultRow[][]> {
  const batches: ResultRow[][] = [];
  const source = chunked(Buffer.from(text), [7, 100]);
  for await (const rows of readRows(source, { columnDelimiter: 'COMMA', batchSize: 2, ...options }))
    batches.push(rows);
  return batches;
}

function count(chunks: readonly Buffer[], columnDelimiter: ColumnDelimiter = 'COMMA'): RecordCounter {
  const counter = new RecordCounter(columnDelimiter);
  for (const chunk of chunks) counter.push(chunk);
  return counter;
}

describe('the reader of result files', () => {
  it('binds values to names, quoted or not, in the order of the file', async () => {
    const [[row] = []] = await read(FAILED);
    assert.deepEqual(Object.keys(row ?? {}), [
      'sf__Id',
      'sf__Error',
      'Name',
      'StageName',
      'external_id__c',
      'CloseDate',
    ]);
    assert.equal(row?.sf__Id, '');
    assert.match(row?.sf__Error ?? '', /^INVALID_FIELD:.*:CloseDate --$/);
    assert.equal(row?.CloseDate, '2003-04-98');
  });

  it('gives batches of the size asked for, and none of an empty file', async () => {
    assert.deepEqual(
      (await read('A\n1\n2\n3\n4\n5\n')).map((rows) => rows.map((row) => row.A)),
      [['1', '2'], ['3', '4'], ['5']],
    );
    assert.deepEqual((await read('A\n1\n2\n')).length, 1);
    assert.deepEqual(await read('"sf__Id","sf__Error",A\n'), []);
    assert.deepEqual(await read('A'), []);
    assert.deepEqual(await read(''), []);
  });

  it('reads plain objects, whatever the columns are called', async () => {
    const [[row] = []] = await read('__proto__,constructor,1\n"a","b","c"\n');
    assert.equal(Object.getPrototypeOf(row), Object.prototype);
    assert.deepEqual(Object.entries(row ?? {}).sort(), [
      ['1', 'c'],
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });

  it('keeps rows of many columns apart', async () => {
    const names = Array.from({ length: 2000 }, (_, index) => `c${index}`);
    const line = (start: number) => `${names.map((_, index) => `"${start + index}"`).join(',')}\n`;
    const [rows = []] = await read(`${names.join(',')}\n${line(0)}${line(1)}`);
    assert.deepEqual([rows[0]?.c0, rows[0]?.c1999, rows[1]?.c0, rows[1]?.c1999], ['0', '1999', '1', '2000']);
  });

  it('takes LF and CRLF, a byte order mark, line breaks in values, and every delimiter', async () => {
    assert.deepEqual(await read('\uFEFF"A",B\r\n"x\r\ny","a\rb"\r\n"1","2"\n'), [
      [
        { A: 'x\r\ny', B: 'a\rb' },
        { A: '1', B: '2' },
      ],
    ]);
    for (const [columnDelimiter, sign] of Object.entries(COLUMN_DELIMITERS)) {
      const text = `A${sign}B\n"x${sign}y"${sign}"z"\n`;
      assert.deepEqual(await read(text, { columnDelimiter: columnDelimiter as ColumnDelimiter }), [
        [{ A: `x${sign}y`, B: 'z' }],
      ]);
    }
  });

  it('names the kind of file and the line of a row that cannot be, and never what it holds', async () => {
    const broken = {
      'line 5 has 1 values for 2 columns': 'A,B\n"1","x\ny"\n"2","2"\n"secret"\n',
      'line 2 has 3 values for 2 columns': 'A,B\n"secret","2","3"\n',
      'line 3 ends within quotes': 'A,B\n"1","2"\n"3","secret\n',
      'line 2 has text behind a closing quote': 'A,B\n"secret"x,"2"\n',
      'line 1 has the column "A" twice': 'A,A\n"secret","2"\n',
    };
    for (const [message, text] of Object.entries(broken)) {
      await assert.rejects(
        read(text, { kind: 'successfulResults' }),
        (error) =>
          isLoadError(error, 'RESULTS_INCOMPLETE') &&
          error.message.includes('successfulResults') &&
          error.message.includes(message) &&
          !error.message.includes('secret'),
        message,
      );
    }
  });

  it('gives failed rows their key', async () => {
    const [rows = []] = await read('"sf__Id","sf__Error",A\n"","E:m:--","1"\n"","E:m:--","1"\n', {
      failedRowsOf: '750x',
    });
    const [first, second] = rows.map((row) => row.sf__Key ?? '');
    assert.match(first ?? '', /^750x-[0-9a-f]{32}-1$/);
    assert.equal(second, first?.replace(/1$/, '2'));
    assert.deepEqual(Object.keys(rows[0] ?? {}), ['sf__Id', 'sf__Error', 'A', 'sf__Key']);
  });

  it('reads a file on disk, stops when told, and closes it when nobody asks for more', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'result-reader-'));
    const path = join(folder, 'results.csv');
    await writeFile(path, `A\n${'"x"\n'.repeat(200_000)}`);
    try {
      let rows = 0;
      for await (const batch of readRows(path, { columnDelimiter: 'COMMA', batchSize: 1000 }))
        rows += batch.length;
      assert.equal(rows, 200_000);

      const stop = new AbortController();
      const reason = new Error('stopped');
      await assert.rejects(async () => {
        for await (const _ of readRows(path, {
          columnDelimiter: 'COMMA',
          batchSize: 1000,
          signal: stop.signal,
        }))
          stop.abort(reason);
      }, reason);

      for await (const _ of readRows(path, { columnDelimiter: 'COMMA', batchSize: 1000 })) break;
      await assert.rejects(async () => {
        for await (const _ of readRows(join(folder, 'none.csv'), { columnDelimiter: 'COMMA', batchSize: 1 }));
      }, /ENOENT/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  const table = columnNames(4).chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(fc.array(awkwardText, { minLength: columns.length, maxLength: columns.length }), {
        maxLength: 8,
      }),
      isHeaderQuoted: fc.boolean(),
      end: fc.constantFrom('\n', '\r\n'),
      endsOpen: fc.boolean(),
    }),
  );

  it('reads and counts files as Salesforce writes them, cut anywhere, as csv-parse does', async () => {
    await fc.assert(
      fc.asyncProperty(
        table,
        delimiters,
        cuts,
        async ({ columns, rows, isHeaderQuoted, end, endsOpen }, columnDelimiter, at) => {
          const delimiter = COLUMN_DELIMITERS[columnDelimiter];
          const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
          const header = columns
            .map((name) => (isHeaderQuoted || /[",;]/.test(name) ? quoted(name) : name))
            .join(delimiter);
          const text =
            [header, ...rows.map((row) => row.map(quoted).join(delimiter))].join(end) + (endsOpen ? '' : end);
          const bytes = Buffer.from(text);
          const expected = (parse(bytes, { delimiter, record_delimiter: end }) as string[][]).slice(1);

          const read: string[][] = [];
          for await (const batch of readRows(chunked(bytes, at), { columnDelimiter, batchSize: 3 })) {
            for (const row of batch) read.push(columns.map((name) => row[name] as string));
          }
          assert.deepEqual(read, expected);
          const counter = count(splitAt(bytes, at), columnDelimiter);
          assert.equal(counter.records, expected.length);
          assert.equal(counter.endedCleanly, true);
        },
      ),
      CASES,
    );
  });
});

describe('the counter of result files', () => {
  const bytes = Buffer.from('"sf__Id",A\n"1","x\ny"\n"2","z"\n');

  it('counts records and not lines, byte by byte too', () => {
    assert.equal(count([bytes]).records, 2);
    assert.equal(count([...bytes].map((byte) => Buffer.from([byte]))).records, 2);
  });

  it('counts nothing in an empty body, or in a header alone', () => {
    for (const text of ['', 'A', 'A\n']) {
      const counter = count([Buffer.from(text)]);
      assert.equal(counter.records, 0);
      assert.equal(counter.endedCleanly, true);
    }
  });

  it('sees a body that stops inside a record', () => {
    const header = '"sf__Id",A\n'.length;
    const whole = ['"1","x\ny"', '"1","x\ny"\n', '"1","x\ny"\n"2","z"', '"1","x\ny"\n"2","z"\n'];
    const clean = [header, ...whole.map((text) => header + text.length)];
    for (let length = header; length <= bytes.length; length += 1) {
      assert.equal(
        count([bytes.subarray(0, length)]).endedCleanly,
        clean.includes(length),
        `${length} bytes`,
      );
    }
  });

  it('begins anew when told', () => {
    const counter = count([bytes]);
    assert.equal(counter.records, 2);
    assert.throws(() => counter.push(bytes), /reset/);
    counter.reset();
    counter.push(bytes);
    assert.equal(counter.records, 2);
  });
});
