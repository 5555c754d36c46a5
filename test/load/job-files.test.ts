import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { type ErrorCode, isLoadError } from '../../src/errors.ts';
import { COLUMN_DELIMITERS, type JobSpec, LINE_ENDINGS } from '../../src/job.ts';
import {
  type CsvSource,
  type JobFile,
  JobFileWriter,
  type JobFileWriterOptions,
  type Rejected,
} from '../../src/load/job-files.ts';
import { Scratch, type ScratchFile } from '../../src/load/scratch.ts';
import type { SourceRecord } from '../../src/record.ts';
import { awkwardText, CASES, chunked, cuts, delimiters, lineEndings, withBreaks } from '../csv/samples.ts';

const signal = new AbortController().signal;

interface Written {
  /** The text of each job file, in the order in which they were handed over. */
  texts: string[];
  files: JobFile[];
  rejected: Rejected[];
}

describe('job files', () => {
  let base: string;
  let scratch: Scratch;

  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'job-files-test-'));
    scratch = await Scratch.open({ base });
  });

  after(async () => {
    await scratch.close();
    await rm(base, { recursive: true, force: true });
  });

  afterEach(() => {
    assert.deepEqual(scratchFiles(), [], 'a scratch file was left behind');
  });

  function scratchFiles(): string[] {
    return existsSync(scratch.directory) ? readdirSync(scratch.directory) : [];
  }

  function specOf(spec: Partial<JobSpec>): JobSpec {
    return {
      object: 'Contact',
      operation: 'insert',
      externalIdField: null,
      columnDelimiter: 'COMMA',
      lineEnding: 'LF',
      assignmentRuleId: null,
      ...spec,
    };
  }

  type Options = Partial<Omit<JobFileWriterOptions, 'spec' | 'onFile'>>;

  async function written(
    spec: Partial<JobSpec>,
    options: Options,
    write: (writer: JobFileWriter) => Promise<Rejected[]>,
  ): Promise<Written> {
    const result: Written = { texts: [], files: [], rejected: [] };
    const writer = new JobFileWriter({
      scratch,
      spec: specOf(spec),
      mapping: [],
      nulls: 'clear',
      maxRecordsPerJob: 0,
      maxBytesPerJob: 1_000_000,
      maxFiles: 2,
      ...options,
      onFile: async (file) => {
        result.texts.push(readFileSync(file.path, 'utf8'));
        assert.equal((await stat(file.path)).size, file.bytes);
        result.files.push(file);
        await file.remove();
      },
    });
    try {
      result.rejected = await write(writer);
      await writer.finish(signal);
    } finally {
      await writer.discard();
    }
    return result;
  }

  function fromRecords(
    records: SourceRecord[],
    spec: Partial<JobSpec> = {},
    options: Options = {},
  ): Promise<Written> {
    return written(spec, options, (writer) => writer.write(records, signal));
  }

  function fromCsv(source: CsvSource, spec: Partial<JobSpec> = {}, options: Options = {}): Promise<Written> {
    return written(spec, options, (writer) => writer.writeCsv(source, signal));
  }

  function refuses(code: ErrorCode, pattern: RegExp) {
    return (error: unknown) => isLoadError(error, code) && pattern.test(error.message);
  }

  describe('from records', () => {
    it('are one file of all records when no limit is reached', async () => {
      const { texts, files, rejected } = await fromRecords([
        { Name: 'Ann', Phone: '1' },
        { Name: 'Bo', Phone: null },
      ]);
      assert.deepEqual(texts, ['Name,Phone\nAnn,1\nBo,#N/A\n']);
      assert.deepEqual(
        files.map(({ columns, records, bytes }) => ({ columns, records, bytes })),
        [{ columns: ['Name', 'Phone'], records: 2, bytes: 25 }],
      );
      assert.deepEqual(rejected, []);
    });

    it('are none when there is no record', async () => {
      assert.deepEqual((await fromRecords([])).texts, []);
      assert.deepEqual((await fromRecords([{}])).texts, []);
    });

    it('go on over several batches', async () => {
      const { texts } = await written({}, {}, async (writer) => [
        ...(await writer.write([{ A: 1 }], signal)),
        ...(await writer.write([], signal)),
        ...(await writer.write([{ A: 2 }], signal)),
      ]);
      assert.deepEqual(texts, ['A\n1\n2\n']);
    });

    it('are cut at the number of records', async () => {
      const { texts } = await fromRecords(
        [1, 2, 3, 4, 5].map((A) => ({ A })),
        {},
        { maxRecordsPerJob: 2 },
      );
      assert.deepEqual(texts, ['A\n1\n2\n', 'A\n3\n4\n', 'A\n5\n']);
    });

    it('are cut before the byte that is too many, header, quotes and UTF-8 counted', async () => {
      for (const text of ['A\né\né\n', 'A\n""","""\n"\n"\n', 'A\r\n1\r\n2\r\n']) {
        const lineEnding = text.includes('\r') ? 'CRLF' : 'LF';
        const [, ...rows] = parse(text, { record_delimiter: LINE_ENDINGS[lineEnding] }) as string[][];
        const records = rows.map(([A]) => ({ A }));
        const maxBytesPerJob = Buffer.byteLength(text);
        assert.deepEqual((await fromRecords(records, { lineEnding }, { maxBytesPerJob })).texts, [text]);
        const { texts } = await fromRecords(records, { lineEnding }, { maxBytesPerJob: maxBytesPerJob - 1 });
        assert.equal(texts.length, 2);
      }
    });

    it('reject a record that fits no file, and go on', async () => {
      const { texts, rejected } = await fromRecords(
        [{ A: 1 }, { A: 'far too long' }, { A: 2 }],
        {},
        { maxBytesPerJob: 8 },
      );
      assert.deepEqual(texts.join(''), 'A\n1\nA\n2\n');
      assert.deepEqual(
        rejected.map(({ code, record }) => [code, record]),
        [['RECORD_TOO_LARGE', { A: 'far too long' }]],
      );
    });

    it('begin anew, with a wider header, where a column appears; fewer columns go on', async () => {
      const { texts, files } = await fromRecords([{ A: 1 }, { A: 2, B: 3 }, { B: 4 }, { C: 5 }, { A: 6 }]);
      assert.deepEqual(texts, ['A\n1\n', 'A,B\n2,3\n,4\n', 'A,B,C\n,,5\n6,,\n']);
      assert.deepEqual(
        files.map(({ columns }) => columns),
        [['A'], ['A', 'B'], ['A', 'B', 'C']],
      );
    });

    it('bind values to columns whatever the order of the keys', async () => {
      assert.deepEqual(
        (
          await fromRecords([
            { A: 1, B: 2 },
            { B: 3, A: 4 },
            { b: 5, a: 6 },
          ])
        ).texts,
        ['A,B\n1,2\n4,3\n6,5\n'],
      );
    });

    it('write parent references as columns, null ones too', async () => {
      const records = [
        { Name: 'a', Account: { Ext__c: 'A1' } },
        { Name: 'b', Account: null },
        { Name: 'c', Account: undefined },
        { Name: 'd', Account: { Ext__c: 'A2' } },
        { Name: 'e', 'Account.Ext__c': 'A3', 'Lead:Who.Email': 'x@y.z' },
      ];
      assert.deepEqual((await fromRecords(records)).texts, [
        'Name,Account.Ext__c\na,A1\nb,#N/A\nc,\nd,A2\n',
        'Name,Account.Ext__c,Lead:Who.Email\ne,A3,x@y.z\n',
      ]);
    });

    it('know a parent that is null at first by the rest of the batch, or by its name', async () => {
      const records = [
        { Name: 'a', Account: null, Parent__r: null, Region: null },
        { Name: 'b', Account: { Ext__c: 'A1' }, Parent__r: null, Region: 'N' },
      ];
      assert.deepEqual((await fromRecords(records)).texts, [
        'Name,Account.Ext__c,Region\na,#N/A,#N/A\nb,A1,N\n',
      ]);
    });

    it('follow the mapping: names, nested values, nothing else', async () => {
      const mapping = [
        { from: 'name', to: 'Name' },
        { from: 'address.city', to: 'MailingCity' },
        { from: 'flat.key', to: 'Flat__c' },
        { from: 'account', to: 'Account' },
      ];
      const records: SourceRecord[] = [
        {
          name: 'Ann',
          address: { city: 'Ulm', zip: 1 },
          'flat.key': 'x',
          flat: { key: 'y' },
          account: { Ext__c: 'A1' },
        },
        { name: 'Bo', address: null, account: null },
        { name: 'Cy', address: 'text', constructor: 1 },
      ];
      assert.deepEqual((await fromRecords(records, {}, { mapping })).texts, [
        'Name,MailingCity,Flat__c,Account.Ext__c\nAnn,Ulm,x,A1\nBo,,,#N/A\nCy,,,\n',
      ]);
    });

    it('refuse a mapping that cannot be', () => {
      const twice = [
        { from: 'a', to: 'Name' },
        { from: 'b', to: 'NAME' },
      ];
      for (const mapping of [twice, [{ from: '', to: 'Name' }], [{ from: 'a', to: ' ' }]]) {
        assert.throws(
          () => writerOf({ mapping }),
          (error) => isLoadError(error, 'CONFIG_INVALID'),
        );
      }
    });

    it('drop sf__ columns, and Id from an insert', async () => {
      const records = [
        { sf__Id: '003', sf__Error: 'E:m:--', Id: '003', Name: 'Ann' },
        { id: 7, Name: 'Bo' },
      ];
      assert.deepEqual((await fromRecords(records)).texts, ['Name\nAnn\nBo\n']);
    });

    it('hold nothing but Id for a delete, whatever else is in the record', async () => {
      const records = [{ Name: 'Ann', Id: '003A', Junk: () => {}, Deep: { a: { b: 1 } } }, { id: '003B' }];
      for (const operation of ['delete', 'hardDelete'] as const) {
        assert.deepEqual((await fromRecords(records, { operation })).texts, ['Id\n003A\n003B\n']);
      }
    });

    it('reject records without the field by which they are found', async () => {
      const upsert = { operation: 'upsert', externalIdField: 'Ext__c' } as const;
      const records = [
        { Ext__c: '1', A: 1 },
        { A: 2 },
        { Ext__c: '', A: 3 },
        { Ext__c: null, A: 4 },
        { ext__c: '5', A: 5 },
      ];
      const { texts, rejected } = await fromRecords(records, upsert);
      assert.deepEqual(texts, ['Ext__c,A\n1,1\n5,5\n']);
      assert.deepEqual(
        rejected.map(({ code, record }) => [code, record.A]),
        [2, 3, 4].map((A) => ['RECORD_INVALID', A]),
      );
      assert.match(rejected[0]?.message ?? '', /no Ext__c/);

      for (const operation of ['update', 'delete', 'hardDelete'] as const) {
        const { texts, rejected } = await fromRecords([{ Id: '003', A: 1 }, { A: 2 }], { operation });
        assert.equal(texts.length, 1);
        assert.deepEqual(
          rejected.map(({ code, record }) => [code, record]),
          [['RECORD_INVALID', { A: 2 }]],
        );
      }
    });

    it('refuse an upsert without an external id field', () => {
      assert.throws(
        () => writerOf({ spec: specOf({ operation: 'upsert' }) }),
        refuses('CONFIG_INVALID', /externalIdField/),
      );
    });

    it('reject what cannot be sent, as it would have been sent, and go on', async () => {
      const mapping = [
        { from: 'n', to: 'Name' },
        { from: 'f', to: 'F__c' },
      ];
      const f = (): void => {};
      const { texts, rejected } = await fromRecords([{ n: 'a', f }, { n: 'b' }], {}, { mapping });
      assert.deepEqual(texts, ['Name,F__c\nb,\n']);
      assert.deepEqual(
        rejected.map(({ code, record }) => [code, record]),
        [['RECORD_INVALID', { Name: 'a', F__c: f }]],
      );

      const odd = [
        null,
        'text',
        [1],
        { A: [1] },
        { A: { B: { C: 1 } } },
        { A: 1, a: 2 },
        { A: 'x'.repeat(32_001) },
      ];
      const result = await fromRecords([...odd, { A: 'fine' }] as SourceRecord[]);
      assert.deepEqual(result.texts, ['A\nfine\n']);
      assert.deepEqual(
        result.rejected.map(({ code }) => code),
        [...Array(6).fill('RECORD_INVALID'), 'RECORD_TOO_LARGE'],
      );
      assert.deepEqual(result.rejected[1]?.record, { _value: 'text' });
    });

    it('have no column that only a rejected record had', async () => {
      const records = [
        { A: 1 },
        { A: 2, Junk: () => {} },
        { A: 3, B: 4 },
        { A: 5, Junk: Number.NaN },
        { A: 6 },
      ];
      assert.deepEqual((await fromRecords(records)).texts, ['A\n1\n', 'A,B\n3,4\n6,\n']);
    });

    it('break off at a key that cannot be a column', async () => {
      await assert.rejects(fromRecords([{ A: 1 }, { 'B\n': 2 }]), refuses('CONFIG_INVALID', /B\\n/));
      await assert.rejects(fromRecords([{ A: 1 }, { '': 2 }]), refuses('CONFIG_INVALID', /no name/));
      const wide = Object.fromEntries(Array.from({ length: 5001 }, (_, index) => [`c${index}`, 1]));
      await assert.rejects(fromRecords([wide]), refuses('CONFIG_INVALID', /5,000/));
    });

    it('hold records larger than a block of memory', async () => {
      const columns = Array.from({ length: 12 }, (_, index) => `c${index}`);
      const record = Object.fromEntries(columns.map((name) => [name, '€'.repeat(32_000)]));
      const { texts, files } = await fromRecords(
        [{ c0: 'a' }, record, record, { c0: 'z' }],
        {},
        { maxBytesPerJob: 10_000_000 },
      );
      assert.deepEqual(
        files.map(({ records }) => records),
        [1, 3],
      );
      assert.deepEqual(parse(texts[1] ?? '', { columns: true })[1], record);
      assert.ok(texts[1]?.endsWith('\nz,,,,,,,,,,,\n'));
    });
  });

  function writerOf(options: Partial<JobFileWriterOptions>): JobFileWriter {
    return new JobFileWriter({
      scratch,
      spec: specOf({}),
      mapping: [],
      nulls: 'clear',
      maxRecordsPerJob: 0,
      maxBytesPerJob: 1_000_000,
      maxFiles: 1,
      onFile: () => {},
      ...options,
    });
  }

  describe('from CSV', () => {
    it('are cut like those from records, text, Buffer or stream', async () => {
      const text = '\uFEFFA,B\r\n1,"x\r\ny"\r\n2,\r\n\r\n3,z';
      for (const source of [text, Buffer.from(text), chunked(Buffer.from(text), [1, 9, 17, 18])]) {
        const { texts, files, rejected } = await fromCsv(source, {}, { maxRecordsPerJob: 2 });
        assert.deepEqual(texts, ['A,B\n1,"x\ny"\n2,\n', 'A,B\n3,z\n']);
        assert.deepEqual(
          files.map(({ columns, records }) => ({ columns, records })),
          [
            { columns: ['A', 'B'], records: 2 },
            { columns: ['A', 'B'], records: 1 },
          ],
        );
        assert.deepEqual(rejected, []);
      }
    });

    it('are none when there is no record', async () => {
      for (const text of ['', '\uFEFF', 'A,B', 'A,B\n']) assert.deepEqual((await fromCsv(text)).texts, []);
    });

    it('get the names of the mapping, and only its columns', async () => {
      const mapping = [
        { from: 'email', to: 'Email__c' },
        { from: 'name', to: 'Name' },
      ];
      const { texts } = await fromCsv('id,name,email\n1,"An,n",a@b.c\n', {}, { mapping });
      assert.deepEqual(texts, ['Email__c,Name\na@b.c,"An,n"\n']);
      await assert.rejects(fromCsv('id,name\n1,2\n', {}, { mapping }), refuses('CONFIG_INVALID', /"email"/));
    });

    it('lose what an operation does not send', async () => {
      assert.deepEqual((await fromCsv('Id,Name,sf__Error\n1,"a""b",x\n')).texts, ['Name\n"a""b"\n']);
      assert.deepEqual((await fromCsv('Name,id\nx,003\n', { operation: 'delete' })).texts, ['Id\n003\n']);
    });

    it('need the field by which records are found, in the header and in every record', async () => {
      const upsert = { operation: 'upsert', externalIdField: 'Ext__c' } as const;
      await assert.rejects(fromCsv('A\n1\n', upsert), refuses('CONFIG_INVALID', /Ext__c/));
      const { texts, rejected } = await fromCsv('A,ext__c\n1,x\n2,\n', upsert);
      assert.deepEqual(texts, ['A,Ext__c\n1,x\n']);
      assert.deepEqual(
        rejected.map(({ code, record }) => [code, record]),
        [['RECORD_INVALID', { A: '2', Ext__c: '' }]],
      );
    });

    it('refuse a header that names a field twice or sends nothing', async () => {
      await assert.rejects(fromCsv('Name,NAME\n1,2\n'), refuses('CONFIG_INVALID', /"NAME" twice/));
      await assert.rejects(fromCsv('Id,sf__Error\n1,2\n'), refuses('CONFIG_INVALID', /no column/));
    });

    it('reject a record that fits no file, and go on', async () => {
      const { texts, rejected } = await fromCsv('A\n1\n"far too long"\n2\n', {}, { maxBytesPerJob: 8 });
      assert.equal(texts.join(''), 'A\n1\nA\n2\n');
      assert.deepEqual(
        rejected.map(({ code, record }) => [code, record]),
        [['RECORD_TOO_LARGE', { A: 'far too long' }]],
      );
    });

    it('hand full groups of rejected records on while they are read', async () => {
      const groups: number[] = [];
      const writer = writerOf({});
      const text = `A,B\n${'bad\n'.repeat(2500)}`;
      const rest = await writer.writeCsv(text, signal, async (rejected) => void groups.push(rejected.length));
      assert.deepEqual([groups, rest.length], [[1000, 1000], 500]);
      await writer.discard();
    });

    it('go on in the same file for a second text with the same columns, and begin anew for others', async () => {
      const { texts } = await written({}, {}, async (writer) => {
        await writer.writeCsv('A,B\n1,2\n', signal);
        await writer.writeCsv('A,B\n3,4\n', signal);
        await writer.writeCsv('B,A\n5,6\n', signal);
        return writer.write([{ A: 7, B: 8 }], signal);
      });
      assert.deepEqual(texts, ['A,B\n1,2\n3,4\n', 'B,A\n5,6\n', 'A,B\n7,8\n']);
    });

    it('break off at a text that was cut off, and leave nothing', async () => {
      await assert.rejects(fromCsv('A\n1\n"2'), refuses('RECORD_INVALID', /line 3/));
    });
  });

  describe('back-pressure and ends', () => {
    it('wait while as many files exist as may', async () => {
      const files: JobFile[] = [];
      const writer = writerOf({ maxFiles: 2, maxRecordsPerJob: 1, onFile: (file) => void files.push(file) });
      let done = false;
      const writing = writer
        .write([{ A: 1 }, { A: 2 }, { A: 3 }, { A: 4 }], signal)
        .then(() => (done = true));
      const arrived = async (count: number): Promise<void> => {
        while (files.length < count) await new Promise((resolve) => setImmediate(resolve));
      };
      await arrived(2);
      for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual([files.length, scratchFiles().length, done], [2, 2, false]);

      await files[0]?.remove();
      await arrived(3);
      await files[1]?.remove();
      await writing;
      await files[2]?.remove();
      await writer.finish();
      assert.equal(files.length, 4);
      await files[3]?.remove();
    });

    it('stop waiting when told, and leave nothing', async () => {
      const stop = new AbortController();
      const files: JobFile[] = [];
      const onFile = (file: JobFile): void => {
        files.push(file);
        setImmediate(() => stop.abort(new Error('stopped')));
      };
      const writer = writerOf({ maxFiles: 1, maxRecordsPerJob: 1, onFile });
      await assert.rejects(writer.write([{ A: 1 }, { A: 2 }], stop.signal), /stopped/);
      await assert.rejects(writer.write([{ A: 3 }], stop.signal), /stopped/);
      await writer.discard();
      assert.equal(files.length, 1);
      await files[0]?.remove();
    });

    it('are given up in the middle of a write', async () => {
      const files: JobFile[] = [];
      const writer = writerOf({ maxFiles: 1, maxRecordsPerJob: 1, onFile: (file) => void files.push(file) });
      const writing = assert.rejects(
        writer.write([{ A: 1 }, { A: 2 }], signal),
        refuses('LOAD_BROKEN_OFF', /given up/),
      );
      while (files.length === 0) await new Promise((resolve) => setImmediate(resolve));
      await writer.discard();
      await writing;
      await files[0]?.remove();
    });

    it('are given up while one is being opened', async () => {
      const writer = writerOf({});
      const writing = assert.rejects(
        writer.write([{ A: 1 }], signal),
        refuses('LOAD_BROKEN_OFF', /given up/),
      );
      // Everything up to the call of the file system happens within this turn of the event loop.
      for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
      await writer.discard();
      await writing;
    });

    it('are removed when nobody takes them over', async () => {
      const onFile = (): void => {
        throw new Error('not now');
      };
      const writer = writerOf({ onFile });
      await writer.write([{ A: 1 }], signal);
      await assert.rejects(writer.finish(), /not now/);
    });

    it('take one call at a time', async () => {
      const writer = writerOf({ onFile: (file) => file.remove() });
      const first = writer.write([{ A: 1 }], signal);
      await assert.rejects(writer.write([{ A: 2 }], signal), /one call at a time/);
      await first;
      await writer.finish();
    });

    it('say that the disk is full, where, and what they need', async () => {
      // A device that is always full, in place of a file of the scratch directory.
      const full: ScratchFile = { path: '/dev/full', remove: async () => {} };
      const writer = writerOf({
        scratch: Object.create(scratch, { file: { value: () => full } }) as Scratch,
        maxBytesPerJob: 100_000_000,
        maxFiles: 3,
      });
      const isFull = refuses('LOAD_BROKEN_OFF', /disk at \/dev\/full is full.*300 MB/);
      const records = Array.from({ length: 1000 }, () => ({ A: 'x'.repeat(10_000) }));
      await assert.rejects(writer.write(records, signal), isFull);
      await writer.discard();

      const short = writerOf({
        scratch: Object.create(scratch, { file: { value: () => full } }) as Scratch,
        maxBytesPerJob: 1e8,
        maxFiles: 3,
      });
      await short.write([{ A: 1 }], signal);
      await assert.rejects(short.finish(), isFull);
    });
  });

  describe('of any records', () => {
    const names = ['Name', 'Email__c', 'Phone', 'A,B', 'Q"x'];
    const values = fc.oneof(
      { weight: 4, arbitrary: awkwardText },
      fc.constantFrom(null, undefined, 1, true, 0n),
    );
    const fields = fc.dictionary(fc.constantFrom(...names), values, { maxKeys: 4 });
    const batches = fc.array(fc.array(fields, { maxLength: 6 }), { maxLength: 3 });
    const limits = fc.record({
      maxRecordsPerJob: fc.integer({ min: 0, max: 5 }),
      maxBytesPerJob: fc.integer({ min: 40, max: 400 }),
    });

    function textOf(value: unknown): string {
      if (value === undefined) return '';
      return value === null ? '#N/A' : String(value);
    }

    it('hold each record exactly once, unchanged, and stay within their limits', async () => {
      await fc.assert(
        fc.asyncProperty(
          batches,
          limits,
          delimiters,
          lineEndings,
          async (given, limit, columnDelimiter, lineEnding) => {
            let count = 0;
            const numbered = given.map((batch) => batch.map((record) => ({ N__c: count++, ...record })));
            const { texts, files, rejected } = await written(
              { columnDelimiter, lineEnding },
              limit,
              async (writer) => {
                const rejected: Rejected[] = [];
                for (const batch of numbered) rejected.push(...(await writer.write(batch, signal)));
                return rejected;
              },
            );

            const found = new Map<string, Record<string, string>>();
            texts.forEach((text, index) => {
              const file = files[index] as JobFile;
              assert.ok(Buffer.byteLength(text) <= limit.maxBytesPerJob);
              assert.ok(
                file.records > 0 && file.records <= (limit.maxRecordsPerJob || Number.POSITIVE_INFINITY),
              );
              const [header, ...rows] = parse(text, {
                delimiter: COLUMN_DELIMITERS[columnDelimiter],
                record_delimiter: LINE_ENDINGS[lineEnding],
              }) as string[][];
              assert.deepEqual(header, file.columns);
              assert.equal(rows.length, file.records);
              for (const row of rows) {
                const record = Object.fromEntries(file.columns.map((name, at) => [name, row[at] ?? '']));
                assert.ok(!found.has(record.N__c ?? ''), 'twice');
                found.set(record.N__c ?? '', record);
              }
            });
            for (const { record } of rejected) found.set(String(record.N__c), {});
            assert.equal(found.size, count);
            const tooLarge = new Set(rejected.map(({ record }) => record.N__c));
            for (const record of numbered.flat()) {
              if (tooLarge.has(record.N__c)) continue;
              for (const [name, text] of Object.entries(found.get(String(record.N__c)) ?? {})) {
                const value = (record as SourceRecord)[name];
                assert.equal(text, withBreaks(textOf(value), lineEnding));
              }
              const lost = Object.keys(record).filter(
                (name) => !(name in (found.get(String(record.N__c)) ?? {})),
              );
              assert.deepEqual(lost, []);
            }
            assert.ok(rejected.every(({ code }) => code === 'RECORD_TOO_LARGE'));
          },
        ),
        CASES,
      );
    });

    it('are the same from CSV, cut anywhere', async () => {
      const table = fc.array(fc.tuple(awkwardText, awkwardText), { maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(table, limits, lineEndings, cuts, async (rows, limit, lineEnding, at) => {
          const records = rows.map(([A, B], N__c) => ({ N__c, A, B }));
          const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
          const lines = records.map(({ N__c, A, B }) => `${N__c},${quoted(A)},${quoted(B)}\r\n`);
          const csv = await fromCsv(
            chunked(Buffer.from(['N__c,A,B\n', ...lines].join('')), at),
            { lineEnding },
            { ...limit, maxBytesPerJob: 1000 },
          );
          const objects = await fromRecords(records, { lineEnding }, { ...limit, maxBytesPerJob: 1000 });
          const read = (text: string): string[][] =>
            parse(text, { record_delimiter: LINE_ENDINGS[lineEnding] });
          assert.deepEqual(
            csv.texts.flatMap((text) => read(text).slice(1)),
            objects.texts.flatMap((text) => read(text).slice(1)),
          );
          for (const [index, text] of csv.texts.entries()) {
            assert.ok(Buffer.byteLength(text) <= 1000);
            assert.equal(read(text).length - 1, csv.files[index]?.records);
          }
        }),
        CASES,
      );
    });
  });
});
