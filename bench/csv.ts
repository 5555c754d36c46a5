import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Options, parse } from 'csv-parse';
import { stringify } from 'csv-stringify';
import { stringify as stringifySync } from 'csv-stringify/sync';
import { CsvEncoder } from '../src/csv/encoder.ts';
import { CsvRecutter } from '../src/csv/recut.ts';
import { RecordCounter, readRows } from '../src/csv/result-reader.ts';
import type { JobSpec } from '../src/job.ts';
import { JobFileWriter } from '../src/load/job-files.ts';
import { Scratch } from '../src/load/scratch.ts';
import type { SourceRecord } from '../src/record.ts';
import { median } from './measurement.ts';

/**
 * Why the CSV of the hot path is our own code: the same work by csv-parse and csv-stringify and by src/csv, in turns.
 * `node bench/csv.ts [rows]`; rows of five short columns, medians of five runs.
 */
const ROWS = Number(process.argv[2] ?? 300_000);
const RUNS = 5;
const BATCH = 5000;

type Work = () => number | Promise<number>;

const signal = new AbortController().signal;
const batches = Array.from({ length: Math.ceil(ROWS / BATCH) }, (_, batch) =>
  Array.from({ length: Math.min(BATCH, ROWS - batch * BATCH) }, (_, row) => recordOf(batch * BATCH + row)),
);
const columns = Object.keys(recordOf(0));
const format = { columnDelimiter: 'COMMA', lineEnding: 'LF' } as const;

function recordOf(index: number): SourceRecord {
  return {
    External_Id__c: `C-${index}`,
    Name: `Contact number ${index}`,
    Email__c: `user${index}@example.com`,
    Phone: index % 10 === 0 ? null : '+49 30 1234567',
    Active__c: index % 2 === 0,
  };
}

function csvOf(): string {
  const encoder = new CsvEncoder({ ...format, columns, nulls: 'ignore' });
  return (
    encoder.header +
    batches
      .flat()
      .map((record) => encoder.encode(record))
      .join('')
  );
}

function resultsOf(): string {
  const rows = batches.flat().map((record) => {
    const values = Object.values(record).map((value) => `"${value ?? ''}"`);
    return `"","FIELD_CUSTOM_VALIDATION_EXCEPTION:Phone is wrong:Phone --",${values.join(',')}\n`;
  });
  return `"sf__Id","sf__Error",${columns.join(',')}\n${rows.join('')}`;
}

const folder = await mkdtemp(join(tmpdir(), 'bench-csv-'));
const uploadPath = join(folder, 'upload.csv');
const resultsPath = join(folder, 'results.csv');
await writeFile(uploadPath, csvOf());
await writeFile(resultsPath, resultsOf());
const scratch = await Scratch.open({ base: join(folder, 'scratch') });

function parsed(path: string, options: Options, onRow: (row: unknown) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    let rows = 0;
    const parser = parse(options);
    parser.on('readable', () => {
      for (let row = parser.read(); row !== null; row = parser.read()) {
        rows += 1;
        onRow(row);
      }
    });
    parser.on('error', reject);
    parser.on('end', () => resolve(rows));
    createReadStream(path, { highWaterMark: 256 * 1024 }).pipe(parser);
  });
}

async function chunksOf(path: string, onChunk: (chunk: Buffer) => void): Promise<void> {
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) onChunk(chunk as Buffer);
}

function encodeOurs(): number {
  const encoder = new CsvEncoder({ ...format, columns, nulls: 'ignore' });
  let bytes = 0;
  for (const batch of batches) {
    bytes += Buffer.from(batch.map((record) => encoder.encodeValues(Object.values(record))).join('')).length;
  }
  return bytes > 0 ? ROWS : 0;
}

function encodeLibrary(): number {
  let bytes = 0;
  for (const batch of batches) {
    const cast = { boolean: (value: boolean) => String(value) };
    bytes += Buffer.from(stringifySync(batch, { columns, cast })).length;
  }
  return bytes > 0 ? ROWS : 0;
}

async function readOurs(): Promise<number> {
  let rows = 0;
  for await (const batch of readRows(resultsPath, { ...format, batchSize: 1000 })) rows += batch.length;
  return rows;
}

async function readKeyed(): Promise<number> {
  let rows = 0;
  const options = { ...format, batchSize: 1000, failedRowsOf: '750000000000001AAA' };
  for await (const batch of readRows(resultsPath, options)) rows += batch.length;
  return rows;
}

async function countOurs(): Promise<number> {
  const counter = new RecordCounter('COMMA');
  await chunksOf(resultsPath, (chunk) => counter.push(chunk));
  return counter.records;
}

async function recutOurs(dropped: number): Promise<number> {
  const select = (header: string[]) => ({
    columns: header.slice(dropped),
    sources: header.map((_, index) => index).slice(dropped),
    keyColumn: undefined,
  });
  const recutter = new CsvRecutter({ ...format, select });
  let rows = 0;
  const take = (): void => {
    while (recutter.next()) rows += 1;
  };
  await chunksOf(uploadPath, (chunk) => {
    recutter.feed(chunk);
    take();
  });
  return rows + (recutter.finish() ? 1 : 0);
}

function recutLibrary(): Promise<number> {
  const writer = stringify();
  writer.resume();
  return parsed(uploadPath, { from: 2 }, (row) => writer.write(row));
}

async function toJobFiles(write: (writer: JobFileWriter) => Promise<unknown>): Promise<number> {
  const spec: JobSpec = {
    ...format,
    object: 'Contact',
    operation: 'upsert',
    externalIdField: columns[0] ?? '',
    assignmentRuleId: null,
  };
  let rows = 0;
  const writer = new JobFileWriter({
    scratch,
    spec,
    mapping: [],
    nulls: 'ignore',
    maxRecordsPerJob: 0,
    maxBytesPerJob: 10_000_000,
    maxFiles: 3,
    onFile: (file) => {
      rows += file.records;
      return file.remove();
    },
  });
  await write(writer);
  await writer.finish();
  return rows;
}

const tasks: { name: string; path: string; works: Record<string, Work> }[] = [
  {
    name: 'records to CSV',
    path: uploadPath,
    works: { 'csv-stringify': encodeLibrary, 'src/csv': encodeOurs },
  },
  {
    name: 'results to records',
    path: resultsPath,
    works: {
      'csv-parse': () => parsed(resultsPath, { columns: true }, () => {}),
      'src/csv': readOurs,
      'src/csv with sf__Key': readKeyed,
    },
  },
  {
    name: 'count results',
    path: resultsPath,
    works: { 'csv-parse': () => parsed(resultsPath, { from: 2 }, () => {}), 'src/csv': countOurs },
  },
  {
    name: 're-cut CSV',
    path: uploadPath,
    works: {
      'csv-parse, csv-stringify': recutLibrary,
      'src/csv, as it is': () => recutOurs(0),
      'src/csv, a column dropped': () => recutOurs(1),
    },
  },
  {
    name: 'job files on disk',
    path: uploadPath,
    works: {
      'from records': () =>
        toJobFiles(async (writer) => {
          for (const batch of batches) await writer.write(batch, signal);
        }),
      'from CSV': () => toJobFiles((writer) => writer.writeCsv(createReadStream(uploadPath), signal)),
    },
  },
];

const count = (value: number): string => Math.round(value).toLocaleString('en-US').padStart(12);
console.log(
  `${ROWS.toLocaleString('en-US')} rows, Node ${process.version}, ${cpus()[0]?.model} x ${cpus().length}\n`,
);
console.log(
  `${'what'.padEnd(20)} ${'by'.padEnd(26)} ${'rows/s'.padStart(12)} ${'MB/s'.padStart(6)} ${'ratio'.padStart(6)}`,
);
try {
  for (const { name, path, works } of tasks) {
    const seconds = new Map(Object.keys(works).map((by) => [by, [] as number[]]));
    for (let run = 0; run < RUNS; run += 1) {
      for (const [by, work] of Object.entries(works)) {
        const before = performance.now();
        const rows = await work();
        seconds.get(by)?.push((performance.now() - before) / 1000);
        if (rows !== ROWS) throw new Error(`${name} by ${by}: ${rows} rows of ${ROWS}`);
      }
    }
    const megabytes = (await stat(path)).size / 1e6;
    const first = median([...seconds.values()][0] ?? []);
    for (const [by, times] of seconds) {
      const time = median(times);
      const rates = `${count(ROWS / time)} ${(megabytes / time).toFixed(0).padStart(6)} ${(first / time).toFixed(1).padStart(6)}`;
      console.log(`${name.padEnd(20)} ${by.padEnd(26)} ${rates}`);
    }
  }
} finally {
  await scratch.close();
  await rm(folder, { recursive: true });
}
