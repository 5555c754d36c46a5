import { CsvEncoder, type CsvFormat, type NullHandling } from '../csv/encoder.ts';
import { formatCount } from '../csv/limits.ts';
import { CsvRecutter } from '../csv/recut.ts';
import { isLoadError, LoadError } from '../errors.ts';
import { type JobSpec, LINE_ENDINGS } from '../job.ts';
import type { SourceRecord } from '../record.ts';
import { orAborted } from '../time-limit.ts';
import { JobColumns } from './job-columns.ts';
import { JobFileSink } from './job-file-sink.ts';
import { type FieldReader, fieldReader, type Mapping, mappedRecord } from './mapping.ts';
import { type Scratch, ScratchFiles } from './scratch.ts';

export type { NullHandling } from '../csv/encoder.ts';
export type { Mapping } from './mapping.ts';

/** A scratch file that holds what one ingest job is to load. `bytes` of raw CSV, header included. */
export interface JobFile {
  path: string;
  columns: string[];
  records: number;
  bytes: number;
  /** To be called when the file is of no use any more: it makes room for another. May be called twice. */
  remove(): Promise<void>;
}

/** A record that is not uploaded. `record` as it would have been: mapped, without `sf__` columns. */
export interface Rejected {
  record: SourceRecord;
  code: 'RECORD_TOO_LARGE' | 'RECORD_INVALID';
  message: string;
}

/** Takes a group of rejected records; nothing more is read before it resolves. */
export type OnRejected = (rejected: Rejected[]) => Promise<void>;

/** CSV text with a header, whole or in chunks that may be cut anywhere. */
export type CsvSource = AsyncIterable<Buffer> | Buffer | string;

export interface JobFileWriterOptions {
  scratch: Scratch;
  spec: JobSpec;
  mapping: readonly Mapping[];
  nulls: NullHandling;
  /** 0 or infinite: no limit. */
  maxRecordsPerJob: number;
  maxBytesPerJob: number;
  /** Scratch files that may exist at once, the one being written included; beyond that `write` waits. */
  maxFiles: number;
  /** Takes a finished file over, its removal included. Awaited before the next file is begun. */
  onFile: (file: JobFile) => void | Promise<void>;
  /** Lengths of the object's fields where they are known: the limit of 32,000 characters is for the others. */
  fieldLengths?: ReadonlyMap<string, number> | undefined;
}

/** Of CSV text, what is given to the recutter at once. */
const CHUNK_BYTES = 1024 * 1024;
/** Rejected records of a CSV text that are handed on at once: a batch as the results node sends it. */
const REJECTED_AT_ONCE = 1000;

/**
 * Turns records, or CSV, into scratch files, each of them the data of one ingest job: cut between records before the file
 * would pass `maxBytesPerJob` or `maxRecordsPerJob`, and where a column appears that its header does not have (the next
 * header is wider; records with fewer columns go on with empty values). Every record is in exactly one file, or rejected.
 *
 * One call at a time. After a call that threw, only `discard()` makes sense.
 */
export class JobFileWriter {
  readonly #options: JobFileWriterOptions;
  readonly #columns: JobColumns;
  readonly #read: FieldReader;
  readonly #files: ScratchFiles;
  readonly #maxRecords: number;
  readonly #spareBlocks: Buffer[] = [];
  readonly #discarding = new AbortController();
  #encoder: CsvEncoder | undefined;
  #sink: JobFileSink | undefined;
  #work: Promise<unknown> | undefined;
  #taken = 0;

  /** @throws LoadError CONFIG_INVALID naming the property */
  constructor(options: JobFileWriterOptions) {
    this.#options = options;
    this.#columns = new JobColumns(options.spec, options.mapping);
    this.#read = fieldReader(options.mapping);
    this.#files = new ScratchFiles(options.scratch, options.maxFiles);
    this.#maxRecords = options.maxRecordsPerJob || Number.POSITIVE_INFINITY;
  }

  /** Of the records of the `write` under way, those before the one that begins a new file; for `onFile`. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Writes the records, and returns those that Salesforce cannot take. Waits while `maxFiles` files exist.
   *
   * @throws LoadError CONFIG_INVALID for a header that cannot be; LOAD_BROKEN_OFF when the disk does not take the file; the
   *   signal's reason
   */
  write(records: readonly SourceRecord[], signal: AbortSignal): Promise<Rejected[]> {
    return this.#alone(signal, (stop) => this.#write(records, stop));
  }

  /**
   * Writes the records of a CSV text without making objects of them. Delimiter: the job's; line ending: either. Of the
   * rejected records full groups go to `onRejected` while the text is read; the rest is returned.
   *
   * @throws LoadError as `write`, and RECORD_INVALID for a text that ends within quotes
   */
  writeCsv(source: CsvSource, signal: AbortSignal, onRejected?: OnRejected): Promise<Rejected[]> {
    return this.#alone(signal, (stop) => this.#writeCsv(source, stop, onRejected));
  }

  /** Hands the last file over. @throws LoadError LOAD_BROKEN_OFF when the disk does not take it */
  finish(signal?: AbortSignal): Promise<void> {
    return this.#alone(signal, (stop) => this.#handOver(stop));
  }

  /**
   * Stops what is under way and removes the file being written. Those that were handed over are their owner's. Must not be
   * awaited within `onFile`.
   */
  async discard(): Promise<void> {
    this.#discarding.abort(new LoadError('LOAD_BROKEN_OFF', 'The files of this load were given up.'));
    // Why that work failed, its own caller is told.
    await Promise.allSettled([this.#work]);
    const sink = this.#sink;
    this.#sink = undefined;
    await sink?.discard();
  }

  async #write(records: readonly SourceRecord[], signal: AbortSignal): Promise<Rejected[]> {
    const rejected: Rejected[] = [];
    for (const [index, record] of records.entries()) {
      this.#taken = index;
      const line = this.#encode(record, records);
      if (typeof line !== 'string') {
        rejected.push(line);
        continue;
      }
      const { header, columns } = this.#encoder as CsvEncoder;
      const isPut = this.#sinkFor(header)?.put(line) ?? false;
      if (!isPut && !(await this.#begin(header, columns, signal)).put(line)) {
        rejected.push({ ...this.#tooLargeForJob(), record: mappedRecord(this.#read, record) });
      }
      if (this.#sink?.isCongested) await this.#drained(this.#sink, signal);
    }
    return rejected;
  }

  async #writeCsv(
    source: CsvSource,
    signal: AbortSignal,
    onRejected: OnRejected | undefined,
  ): Promise<Rejected[]> {
    const { spec, fieldLengths } = this.#options;
    const select = (header: string[]) => this.#columns.select(header);
    const recutter = new CsvRecutter({ ...formatOf(spec), fieldLengths, select });
    const rejected: Rejected[] = [];
    for await (const chunk of chunksOf(source)) {
      signal.throwIfAborted();
      recutter.feed(chunk);
      while (recutter.next()) {
        await this.#writeSlice(recutter, rejected, signal);
        if (onRejected && rejected.length >= REJECTED_AT_ONCE)
          await orAborted(signal, onRejected(rejected.splice(0)));
      }
    }
    if (recutter.finish()) await this.#writeSlice(recutter, rejected, signal);
    return rejected;
  }

  /** Undefined when there is nothing to wait for, as for nearly every record. */
  #writeSlice(recutter: CsvRecutter, rejected: Rejected[], signal: AbortSignal): Promise<void> | undefined {
    const { bytes, start, end, fault, header } = recutter;
    if (fault) {
      rejected.push(fault);
      return undefined;
    }
    const sink = this.#sinkFor(header);
    if (!sink?.putBytes(bytes, start, end)) return this.#writeSliceToNext(recutter, rejected, signal);
    return sink.isCongested ? this.#drained(sink, signal) : undefined;
  }

  async #writeSliceToNext(recutter: CsvRecutter, rejected: Rejected[], signal: AbortSignal): Promise<void> {
    const { bytes, start, end, header, columns } = recutter;
    const sink = await this.#begin(header, columns, signal);
    if (!sink.putBytes(bytes, start, end))
      rejected.push({ ...this.#tooLargeForJob(), record: recutter.record() });
  }

  /** The record as a line of the job file, under a header that has all its columns. */
  #encode(record: SourceRecord, batch: readonly SourceRecord[]): string | Rejected {
    try {
      const width = this.#columns.place(record, batch);
      const encoder =
        this.#encoder && width <= this.#encoder.columns.length ? this.#encoder : this.#widerEncoder();
      const line = encoder.encodeValues(this.#columns.values);
      this.#columns.keep();
      this.#encoder = encoder;
      return line;
    } catch (error) {
      this.#columns.undo();
      if (!isLoadError(error) || (error.code !== 'RECORD_INVALID' && error.code !== 'RECORD_TOO_LARGE'))
        throw error;
      return { code: error.code, message: error.message, record: mappedRecord(this.#read, record) };
    }
  }

  #widerEncoder(): CsvEncoder {
    const { spec, nulls, fieldLengths } = this.#options;
    return new CsvEncoder({ ...formatOf(spec), nulls, fieldLengths, columns: [...this.#columns.names] });
  }

  /** The file being written, when one more record under this header may go into it. */
  #sinkFor(header: string): JobFileSink | undefined {
    const sink = this.#sink;
    return sink && sink.header === header && sink.records < this.#maxRecords ? sink : undefined;
  }

  /** Hands the file being written over, and begins another. */
  async #begin(header: string, columns: readonly string[], signal: AbortSignal): Promise<JobFileSink> {
    if (this.#sink?.header === header && this.#sink.records === 0) return this.#sink;
    await this.#handOver(signal);
    const { spec, maxBytesPerJob, maxFiles } = this.#options;
    const file = await this.#files.file(`${spec.object}-${spec.operation}.csv`, signal);
    this.#sink = await JobFileSink.open(file, {
      header,
      columns: [...columns],
      lineEnding: LINE_ENDINGS[spec.lineEnding],
      maxBytes: maxBytesPerJob,
      neededBytes: maxBytesPerJob * maxFiles,
      spareBlocks: this.#spareBlocks,
    });
    signal.throwIfAborted();
    return this.#sink;
  }

  async #handOver(signal: AbortSignal): Promise<void> {
    const sink = this.#sink;
    this.#sink = undefined;
    if (!sink) return;
    if (sink.records === 0) {
      await sink.discard();
      return;
    }
    await sink.close();
    const { file, columns, records, bytes } = sink;
    try {
      signal.throwIfAborted();
      await this.#options.onFile({ path: file.path, columns, records, bytes, remove: file.remove });
    } catch (error) {
      await file.remove();
      throw error;
    }
  }

  async #drained(sink: JobFileSink, signal: AbortSignal): Promise<void> {
    await sink.drained();
    signal.throwIfAborted();
  }

  #tooLargeForJob(): Omit<Rejected, 'record'> {
    const limit = formatCount(this.#options.maxBytesPerJob);
    return {
      code: 'RECORD_TOO_LARGE',
      message: `The record and its header together take more than the ${limit} bytes that a job may have.`,
    };
  }

  async #alone<T>(signal: AbortSignal | undefined, work: (stop: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#work) throw new Error('JobFileWriter: one call at a time.');
    const stop = AbortSignal.any(signal ? [signal, this.#discarding.signal] : [this.#discarding.signal]);
    stop.throwIfAborted();
    const running = work(stop);
    this.#work = running;
    try {
      return await running;
    } finally {
      this.#work = undefined;
    }
  }
}

function formatOf({ columnDelimiter, lineEnding }: JobSpec): CsvFormat {
  return { columnDelimiter, lineEnding };
}

async function* chunksOf(source: CsvSource): AsyncGenerator<Buffer> {
  if (typeof source !== 'string' && !Buffer.isBuffer(source)) {
    yield* source;
    return;
  }
  const bytes = typeof source === 'string' ? Buffer.from(source) : source;
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}
