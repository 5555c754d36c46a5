import { createReadStream } from 'node:fs';
import { CsvReader } from '../csv/csv-reader.ts';
import type { CsvFault } from '../csv/csv-scan.ts';
import type { RowLocks } from '../data/locks.ts';
import type { Saver } from '../data/save.ts';
import type { Store } from '../data/store.ts';
import type { Settings } from '../options.ts';
import { seededRandom } from '../random.ts';
import { CHUNK, ChunkSaver, chunksOf } from './chunk-saver.ts';
import { bindColumns, type Column, HeaderFault } from './columns.ts';
import { DraftMaker } from './drafts.ts';
import { readHeader, type UploadHeader } from './header.ts';
import type { Job, JobState } from './job.ts';
import { type JobFault, type JobFaultKind, type JobFaults, strikesAfter } from './job-faults.ts';
import type { Jobs } from './jobs.ts';
import { Pace } from './pace.ts';
import type { Released } from './released.ts';
import { ResultRows, resultHeader } from './result-rows.ts';
import { ResultWriter } from './result-writer.ts';
import { sinkFailures } from './sink.ts';

const QUOTE_FAULT = 'Found unescaped quote. A value with quote should be within a quote';
const CSV_FAULTS: Record<CsvFault, (job: Job) => string> = {
  'line-ending': (job) =>
    `ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is ${job.lineEnding}`,
  'unescaped-quote': () => `InvalidBatch : Failed to parse CSV. ${QUOTE_FAULT}`,
  'text-after-quote': () => 'InvalidBatch : Failed to parse CSV. Not expecting more text after end quote',
  'open-quote': () => 'InvalidBatch : Failed to parse CSV. EOF reached before closing an opened quote',
};

/** The server gives up a batch after 20 retries of 5 minutes (reference §3). */
const GIVEN_UP = 'InternalServerError : Retried more than 20 times';

const READ_BYTES = 256 * 1024;

/** How a job ends; no state when somebody else has moved it already. */
export interface Ending {
  state?: JobState;
  errorMessage?: string;
}

const COMPLETE: Ending = { state: 'JobComplete' };
const STOPPED: Ending = {};

/** Faults that strike after a number of records. */
const STRIKING: readonly JobFaultKind[] = ['stall', 'fail-half', 'abort', 'vanish'];

export interface WorkParts {
  settings: Settings;
  store: Store;
  saver: Saver;
  locks: RowLocks;
  jobs: Jobs;
  faults: JobFaults;
}

/** The work on one job, from its header to its last record, with the faults that strike on the way. */
export class JobWork {
  readonly #parts: WorkParts;
  readonly #released: Released;
  readonly #stop: AbortSignal;

  constructor(parts: WorkParts, released: Released, stop: AbortSignal) {
    this.#parts = parts;
    this.#released = released;
    this.#stop = stop;
  }

  async do(job: Job): Promise<Ending> {
    const { faults, settings } = this.#parts;
    const fault = faults.find(job, 'fail');
    const refusal = fault ? (fault.errorMessage ?? GIVEN_UP) : this.#refusal(job);
    if (refusal !== undefined) {
      return { state: 'Failed', errorMessage: refusal };
    }
    try {
      return await (settings.sink ? this.#count(job, settings.sink.failPercent) : this.#load(job));
    } catch (error) {
      if (error instanceof HeaderFault) {
        return { state: 'Failed', errorMessage: error.message };
      }
      throw error;
    }
  }

  /** Why the whole file is refused before any record, if it is. */
  #refusal(job: Job): string | undefined {
    if (job.upload?.fault) {
      return CSV_FAULTS[job.upload.fault](job);
    }
    const isEmpty = (job.upload?.records ?? 0) === 0;
    return isEmpty && this.#parts.settings.emptyUpload === 'Failed'
      ? 'InvalidBatch : Records not found'
      : undefined;
  }

  /** Sink mode: the records were counted when they arrived, and only the header is looked at. */
  async #count(job: Job, failPercent: number): Promise<Ending> {
    const { settings } = this.#parts;
    await this.#bind(job);
    const records = job.upload?.records ?? 0;
    const pace = new Pace(settings.recordsPerSecond, this.#stop);
    const step = Number.isFinite(settings.recordsPerSecond) ? CHUNK : records;
    for (;;) {
      const ending = await this.#ending(job);
      if (ending) {
        return ending;
      }
      const next = Math.min(step, records - job.processed, this.#nextStrike(job) - job.processed);
      if (next <= 0) {
        return COMPLETE;
      }
      await pace.after(next);
      job.processed += next;
      job.failed = sinkFailures(job.processed, failPercent);
    }
  }

  async #load(job: Job): Promise<Ending> {
    const { settings, store, jobs } = this.#parts;
    const bound = await this.#bind(job);
    if (!bound || !job.upload) {
      return COMPLETE;
    }
    const { header, columns } = bound;
    const random = seededRandom(settings.seed + job.number);
    const success = new ResultWriter(jobs.file(job, 'success'), settings.shuffleWindow, random);
    const failed = new ResultWriter(jobs.file(job, 'failed'), settings.shuffleWindow, random);
    success.head(resultHeader(job, settings, header, 'successfulResults'));
    failed.head(resultHeader(job, settings, header, 'failedResults'));
    const rows = new ResultRows(job, settings, columns, header);
    const saver = new ChunkSaver(this.#parts, job, new DraftMaker(store, job, columns), {
      rows,
      success,
      failed,
    });
    const file = createReadStream(job.upload.file, { start: header.bodyOffset, highWaterMark: READ_BYTES });
    const ending = await this.#saveAll(job, saver, file);
    await success.close();
    await failed.close();
    return ending;
  }

  async #saveAll(job: Job, saver: ChunkSaver, file: AsyncIterable<Buffer>): Promise<Ending> {
    const pace = new Pace(this.#parts.settings.recordsPerSecond, this.#stop);
    for await (const chunk of chunksOf(file, new CsvReader(job.columnDelimiter))) {
      let rest = chunk;
      while (rest.length > 0) {
        const ending = await this.#ending(job);
        if (ending) {
          return ending;
        }
        const part = rest.slice(0, this.#nextStrike(job) - job.processed);
        rest = rest.slice(part.length);
        await pace.after(part.length);
        await saver.save(part);
      }
    }
    return (await this.#ending(job)) ?? COMPLETE;
  }

  /** Binds the header, or undefined when there is no header to bind. */
  async #bind(job: Job): Promise<{ header: UploadHeader; columns: Column[] } | undefined> {
    if (!job.upload || job.upload.bytes === 0) {
      return undefined;
    }
    const header = await readHeader(job.upload.file, job.columnDelimiter);
    const { model } = this.#parts.store;
    const columns = bindColumns(model, job.object, job.operation, header.names, job.externalIdFieldName);
    return { header, columns };
  }

  /** How the job ends here and now, when a fault or an abort wants it; undefined to go on. */
  async #ending(job: Job): Promise<Ending | undefined> {
    const { faults } = this.#parts;
    const due = (kind: JobFaultKind): JobFault | undefined => {
      const fault = faults.find(job, kind);
      return fault && job.processed >= strikesAfter(fault, job, CHUNK) ? fault : undefined;
    };
    await this.#released.until(() => job.state !== 'InProgress' || due('stall') === undefined);
    if (this.#stop.aborted || job.state !== 'InProgress') {
      return STOPPED;
    }
    const failure = due('fail-half');
    if (failure) {
      return { state: 'Failed', errorMessage: failure.errorMessage ?? GIVEN_UP };
    }
    if (due('abort')) {
      return { state: 'Aborted' };
    }
    const vanish = due('vanish');
    job.isGone ||= vanish !== undefined && (vanish.when ?? 'half') === 'half';
    return undefined;
  }

  /** The number of records at which the next fault strikes. */
  #nextStrike(job: Job): number {
    const strikes = STRIKING.flatMap((kind) => {
      const fault = this.#parts.faults.find(job, kind);
      return fault ? [strikesAfter(fault, job, CHUNK)] : [];
    });
    return Math.min(...strikes.filter((strike) => strike > job.processed), Number.POSITIVE_INFINITY);
  }
}
