import { createReadStream } from 'node:fs';
import { appendFile, open, rename, rm } from 'node:fs/promises';
import { CsvScan } from '../csv/csv-scan.ts';
import { bulkError } from '../http/reply.ts';
import type { Settings } from '../options.ts';
import type { Job, Upload } from './job.ts';

let uploads = 0;

/**
 * Writes a body to disk as it arrives, counting and checking it on the way; each write is awaited, so that a slow disk
 * slows the sender. The file takes its name only when the body is whole: a broken upload leaves nothing.
 */
export async function receiveUpload(
  job: Job,
  body: AsyncIterable<Buffer>,
  file: string,
  settings: Settings,
): Promise<Upload> {
  uploads++;
  const partial = `${file}.${uploads}.part`;
  const scan = new CsvScan(job.columnDelimiter, job.lineEnding, settings.embeddedBreaks);
  let bytes = 0;
  const handle = await open(partial, 'w');
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > settings.maxUploadBytes) {
        throw bulkError(400, 'EXCEEDEDQUOTA', 'ExceededQuota : The uploaded data is larger than 150 MB');
      }
      await handle.write(chunk);
      scan.push(chunk);
    }
    scan.end();
  } catch (error) {
    await handle.close();
    await rm(partial, { force: true });
    throw error;
  }
  await handle.close();
  await rename(partial, file);
  return { file, bytes, records: scan.records, fault: scan.fault };
}

/** For orgs told to take a second PUT as more of the same file. */
export async function appendUpload(
  job: Job,
  more: Upload,
  first: Upload,
  settings: Settings,
): Promise<Upload> {
  const scan = new CsvScan(job.columnDelimiter, job.lineEnding, settings.embeddedBreaks);
  for await (const chunk of createReadStream(more.file) as AsyncIterable<Buffer>) {
    await appendFile(first.file, chunk);
  }
  for await (const chunk of createReadStream(first.file) as AsyncIterable<Buffer>) {
    scan.push(chunk);
  }
  scan.end();
  await rm(more.file, { force: true });
  return { file: first.file, bytes: first.bytes + more.bytes, records: scan.records, fault: scan.fault };
}
