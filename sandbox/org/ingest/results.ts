import { createReadStream, existsSync } from 'node:fs';
import { CsvReader, type CsvRow } from '../csv/csv-reader.ts';
import { DELIMITERS, quoted } from '../csv/dialect.ts';
import type { Settings } from '../options.ts';
import { readHeader, type UploadHeader } from './header.ts';
import type { Job } from './job.ts';
import type { ResultFile } from './job-faults.ts';
import type { Jobs } from './jobs.ts';
import { lineEnd, resultHeader } from './result-rows.ts';
import { sinkRows } from './sink.ts';

const READ_BYTES = 256 * 1024;

/** The body of a result file, as a stream. */
export async function* resultBody(
  job: Job,
  file: ResultFile,
  jobs: Jobs,
  settings: Settings,
): AsyncGenerator<Buffer> {
  const header =
    job.upload && job.upload.bytes > 0 ? await readHeader(job.upload.file, job.columnDelimiter) : undefined;
  const written = file === 'unprocessedrecords' ? undefined : jobs.file(job, WRITTEN[file]);
  if (written && existsSync(written)) {
    yield* createReadStream(written, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
    return;
  }
  yield Buffer.from(resultHeader(job, settings, header, file));
  if (!header) {
    return;
  }
  if (file === 'unprocessedrecords') {
    yield* unprocessedRows(job, header, settings);
  } else if (settings.sink) {
    yield* sinkRows(job, file, settings.sink.failPercent, header.bodyOffset, lineEnd(job, settings));
  }
}

const WRITTEN = { successfulResults: 'success', failedResults: 'failed' } as const;

/** The records beyond those that the job has processed, in the order of the upload, raw. */
async function* unprocessedRows(job: Job, header: UploadHeader, settings: Settings): AsyncGenerator<Buffer> {
  if (!job.upload || job.processed >= job.upload.records) {
    return;
  }
  const reader = new CsvReader(job.columnDelimiter);
  const delimiter = DELIMITERS[job.columnDelimiter];
  const end = lineEnd(job, settings);
  let toSkip = job.processed;
  const write = (rows: CsvRow[]): Buffer => {
    const kept = rows.slice(toSkip);
    toSkip = Math.max(0, toSkip - rows.length);
    return Buffer.from(kept.map((row) => row.values.map(quoted).join(delimiter) + end).join(''));
  };
  const file = createReadStream(job.upload.file, { start: header.bodyOffset, highWaterMark: READ_BYTES });
  for await (const chunk of file as AsyncIterable<Buffer>) {
    const out = write(reader.push(chunk));
    if (out.length > 0) {
      yield out;
    }
  }
  yield write(reader.end());
}
