import { createReadStream } from 'node:fs';
import { DELIMITERS } from '../csv/dialect.ts';
import { IdWriter } from '../ids.ts';
import type { Job } from './job.ts';

/**
 * Sink mode: results made up from the uploaded file as it is read, over bytes. Which records fail is decided by their
 * number alone, spread evenly: at 1 per cent records 100, 200, … .
 */

/** How many of the first n records fail. */
export const sinkFailures = (records: number, failPercent: number): number =>
  Math.floor((records * failPercent) / 100 + 1e-9);

/** Each job's made-up ids start at a number of their own. */
const IDS_PER_JOB = 100_000_000;

const LF = 10;
const CR = 13;
const QUOTE = 34;
const READ_BYTES = 512 * 1024;

const ERROR = Buffer.from(
  'FIELD_CUSTOM_VALIDATION_EXCEPTION:Refused by the sandbox in sink mode:--'.replaceAll('"', '""'),
);

/** Records of a job's upload that have succeeded, or failed, as the body of a result file without its header. */
export async function* sinkRows(
  job: Job,
  which: 'successfulResults' | 'failedResults',
  failPercent: number,
  bodyOffset: number,
  lineEnd: string,
): AsyncGenerator<Buffer> {
  if (!job.upload) {
    return;
  }
  const rows = new SinkRows(job, which === 'failedResults', failPercent, lineEnd);
  const file = createReadStream(job.upload.file, { start: bodyOffset, highWaterMark: READ_BYTES });
  for await (const chunk of file as AsyncIterable<Buffer>) {
    const out = rows.push(chunk);
    if (out.length > 0) {
      yield out;
    }
    if (rows.isDone) {
      return;
    }
  }
  const last = rows.end();
  if (last.length > 0) {
    yield last;
  }
}

class SinkRows {
  readonly #wantsFailed: boolean;
  readonly #failPercent: number;
  readonly #records: number;
  readonly #delimiter: number;
  readonly #lineEnd: Buffer;
  readonly #ids: IdWriter;
  readonly #isUpdate: boolean;
  #rest: Buffer = Buffer.alloc(0);
  #record = 0;
  #nextFailure: number;

  constructor(job: Job, wantsFailed: boolean, failPercent: number, lineEnd: string) {
    this.#wantsFailed = wantsFailed;
    this.#failPercent = failPercent;
    this.#records = job.processed;
    this.#delimiter = DELIMITERS[job.columnDelimiter].charCodeAt(0);
    this.#lineEnd = Buffer.from(lineEnd);
    this.#ids = new IdWriter(job.object.keyPrefix, job.number * IDS_PER_JOB + 1);
    this.#isUpdate = job.operation !== 'insert' && job.operation !== 'upsert';
    this.#nextFailure = this.#failureAfter(0);
  }

  get isDone(): boolean {
    return this.#record >= this.#records;
  }

  push(chunk: Buffer): Buffer {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const { out, used } = this.#convert(
      bytes,
      chunk.indexOf(QUOTE) === -1 && this.#rest.indexOf(QUOTE) === -1,
    );
    this.#rest = bytes.subarray(used);
    return out;
  }

  end(): Buffer {
    const last = this.#rest;
    return last.length === 0
      ? last
      : this.#convert(Buffer.concat([last, Buffer.from('\n')]), last.indexOf(QUOTE) === -1).out;
  }

  #failureAfter(record: number): number {
    if (this.#failPercent <= 0) {
      return Number.POSITIVE_INFINITY;
    }
    const count = sinkFailures(record, this.#failPercent);
    let next = Math.max(record + 1, Math.floor(((count + 1) * 100) / this.#failPercent) - 1);
    while (sinkFailures(next, this.#failPercent) <= count) {
      next++;
    }
    return next;
  }

  #convert(bytes: Buffer, isPlain: boolean): { out: Buffer; used: number } {
    // A value of one byte and its delimiter become five bytes at most; the ids and line ends are added per record below.
    let out: Buffer = Buffer.allocUnsafe(bytes.length * 2 + 4096);
    let length = 0;
    let start = 0;
    while (start < bytes.length && !this.isDone) {
      const end = isPlain ? bytes.indexOf(LF, start) : lineEndAfter(bytes, start);
      if (end === -1) {
        break;
      }
      const stop = end > start && bytes[end - 1] === CR ? end - 1 : end;
      if (stop > start) {
        this.#record++;
        const isFailure = this.#record === this.#nextFailure;
        if (isFailure) {
          this.#nextFailure = this.#failureAfter(this.#record);
        }
        if (isFailure === this.#wantsFailed) {
          const need = length + (stop - start) * 3 + 256;
          if (need > out.length) {
            out = grown(out, length, need);
          }
          length = this.#write(bytes, start, stop, out, length);
        } else if (!this.#wantsFailed) {
          this.#ids.skip();
        }
      }
      start = end + 1;
    }
    return { out: out.subarray(0, length), used: start };
  }

  #write(bytes: Buffer, start: number, stop: number, out: Buffer, at: number): number {
    let length = this.#wantsFailed ? this.#failedHead(out, at) : this.#successHead(out, at);
    const delimiter = this.#delimiter;
    let i = start;
    for (;;) {
      out[length++] = delimiter;
      out[length++] = QUOTE;
      if (bytes[i] === QUOTE) {
        i++;
        while (i < stop && (bytes[i] !== QUOTE || bytes[i + 1] === QUOTE)) {
          const byte = bytes[i] as number;
          out[length++] = byte;
          i++;
          if (byte === QUOTE) {
            out[length++] = QUOTE;
            i++;
          }
        }
        i++;
      } else {
        for (let byte = bytes[i]; i < stop && byte !== delimiter; byte = bytes[++i]) {
          out[length++] = byte as number;
        }
      }
      out[length++] = QUOTE;
      if (i >= stop) {
        break;
      }
      i++;
    }
    for (const byte of this.#lineEnd) {
      out[length++] = byte;
    }
    return length;
  }

  /** `"id","true"` */
  #successHead(out: Buffer, at: number): number {
    let length = at;
    out[length++] = QUOTE;
    this.#ids.write(out, length);
    length += 18;
    out[length++] = QUOTE;
    out[length++] = this.#delimiter;
    return length + out.write(this.#isUpdate ? '"false"' : '"true"', length, 'latin1');
  }

  /** `"","error"` */
  #failedHead(out: Buffer, at: number): number {
    let length = at;
    out[length++] = QUOTE;
    out[length++] = QUOTE;
    out[length++] = this.#delimiter;
    out[length++] = QUOTE;
    length += ERROR.copy(out, length);
    out[length++] = QUOTE;
    return length;
  }
}

/** The line end that ends the record beginning at `start`, outside of quotes; -1 when it is not there yet. */
function lineEndAfter(bytes: Buffer, start: number): number {
  let isQuoted = false;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      isQuoted = !isQuoted;
    } else if (byte === LF && !isQuoted) {
      return at;
    }
  }
  return -1;
}

function grown(out: Buffer, used: number, need: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(need, out.length * 2));
  out.copy(larger, 0, 0, used);
  return larger;
}
