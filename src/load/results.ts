import type { Clock } from '../clock.ts';
import { RecordCounter, type ResultRow, readRows } from '../csv/result-reader.ts';
import { isLoadError, LoadError, reasonOf } from '../errors.ts';
import { isFinal, type Job } from '../job.ts';
import type { CallMeter } from '../salesforce/call.ts';
import { SinkFailed } from '../salesforce/exchange-failed.ts';
import { type IngestApi, RESULT_KINDS, type ResultKind } from '../salesforce/ingest.ts';
import { type Scratch, type ScratchFile, scratchError } from './scratch.ts';
import type { ResultCounts } from './settlement.ts';

export interface ResultsOptions {
  ingest: IngestApi;
  scratch: Scratch;
  clock: Clock;
  meter: CallMeter;
  signal: AbortSignal;
}

interface ResultFile {
  file: ScratchFile;
  records: number;
}

type ResultFiles = Record<ResultKind, ResultFile>;

/** A cut file is whole at the next try; one that never adds up will not at the tenth either. */
const TRIES = 5;
const FIRST_PAUSE_MS = 2000;
/** The download failed, or what came is no result file. */
const WORTH_ANOTHER_TRY: ReadonlySet<string> = new Set(['SF_REQUEST_FAILED', 'RESULTS_INCOMPLETE']);
/** Codes of Apex and flow texts can be anything; a receipt stays readable. */
const MOST_ERROR_CODES = 200;
/** What is counted together beyond them; `NO_CODE` as a classified failure has it. */
const MORE_CODES = 'MORE_CODES';
const COUNTED_AT_ONCE = 1000;

/**
 * The three result files of a finished job, whole on disk and checked against the job's counters before a row of them
 * leaves (design §7.6). Salesforce's connection is never held open by a slow flow.
 */
export class JobResults {
  readonly job: Job;
  readonly #files: ResultFiles;
  readonly #errorCodes = new Map<string, number>();

  private constructor(job: Job, files: ResultFiles) {
    this.job = job;
    this.#files = files;
  }

  /**
   * @throws LoadError RESULTS_INCOMPLETE with all counts when the files do not add up after several tries; BULK_JOB_GONE
   */
  static async download(job: Job, options: ResultsOptions): Promise<JobResults> {
    if (!isFinal(job.state)) {
      throw new LoadError(
        'CONFIG_INVALID',
        `Job ${job.id} is ${job.state}: its results exist when it has ended. Put a poll node before the results node.`,
      );
    }
    const files: Partial<ResultFiles> = {};
    try {
      for (let attempt = 1; ; attempt += 1) {
        const problem = await downloadAll(job, files, options);
        if (problem === undefined) return new JobResults(job, files as ResultFiles);
        if (attempt === TRIES) throw problem;
        await options.clock.sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1), options.signal);
      }
    } catch (error) {
      await removeAll(files);
      throw error;
    }
  }

  /** Of the files; the error codes are counted while the failures are read. */
  get counts(): ResultCounts {
    return {
      succeeded: this.#files.successfulResults.records,
      failed: this.#files.failedResults.records,
      unprocessed: this.#files.unprocessedrecords.records,
      errorCodes: this.#errorCodes,
    };
  }

  path(kind: ResultKind): string {
    return this.#files[kind].file.path;
  }

  records(kind: ResultKind): number {
    return this.#files[kind].records;
  }

  /** The rows of one file in batches; failed rows with their `sf__Key`. */
  async *rows(kind: ResultKind, batchSize: number, signal: AbortSignal): AsyncGenerator<ResultRow[]> {
    const { id, columnDelimiter } = this.job;
    const options = { columnDelimiter, batchSize, signal, kind };
    if (kind !== 'failedResults') {
      yield* readRows(this.path(kind), options);
      return;
    }
    for await (const rows of readRows(this.path(kind), { ...options, failedRowsOf: id })) {
      for (const row of rows) this.#count(row);
      yield rows;
    }
  }

  /** For a flow that gets the failed file and not its rows: reads it through once, for the error codes of the receipt. */
  async countErrorCodes(signal: AbortSignal): Promise<void> {
    const { columnDelimiter } = this.job;
    const options = { columnDelimiter, batchSize: COUNTED_AT_ONCE, signal, kind: 'failedResults' };
    for await (const rows of readRows(this.path('failedResults'), options)) {
      for (const row of rows) this.#count(row);
    }
  }

  async remove(): Promise<void> {
    await removeAll(this.#files);
  }

  #count(row: Record<string, string>): void {
    const text = row.sf__Error ?? '';
    const code = text.slice(0, Math.max(0, text.indexOf(':'))).trim() || 'NO_CODE';
    const codes = this.#errorCodes;
    const name = codes.has(code) || codes.size < MOST_ERROR_CODES ? code : MORE_CODES;
    codes.set(name, (codes.get(name) ?? 0) + 1);
  }
}

/** Fills in what is missing of `files`; returns what is wrong with them, or undefined when they add up. */
async function downloadAll(
  job: Job,
  files: Partial<ResultFiles>,
  options: ResultsOptions,
): Promise<LoadError | undefined> {
  try {
    for (const kind of RESULT_KINDS) files[kind] ??= await downloadOne(job, kind, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof LoadError && !WORTH_ANOTHER_TRY.has(error.code)) throw error;
    return new LoadError(
      'RESULTS_INCOMPLETE',
      `The results of job ${job.id} could not be downloaded (${reasonOf(error)}); ${countsOf(job)}. Salesforce keeps them ` +
        'for seven days: send the job again.',
      { cause: error },
    );
  }
  const problem = mismatch(job, files as ResultFiles);
  if (problem) await removeAll(files);
  return problem;
}

async function downloadOne(job: Job, kind: ResultKind, options: ResultsOptions): Promise<ResultFile> {
  const file = options.scratch.file(`${job.id}-${kind}.csv`);
  const counter = new RecordCounter(job.columnDelimiter);
  try {
    await options.ingest.downloadResults(
      job.id,
      kind,
      file.path,
      { onChunk: (chunk) => counter.push(chunk) },
      options,
    );
    if (!counter.endedCleanly) {
      throw new LoadError('SF_REQUEST_FAILED', `${kind} of job ${job.id} ended inside a record`);
    }
  } catch (error) {
    await file.remove();
    throw faultOf(error, file);
  }
  return { file, records: counter.records };
}

/** What the counter finds in the body comes the same way as a full disk, and is another fault. */
function faultOf(error: unknown, { path }: ScratchFile): unknown {
  if (!(error instanceof SinkFailed)) return error;
  return isLoadError(error.cause, 'RESULTS_INCOMPLETE') ? error.cause : scratchError(error.cause, path);
}

/** What the three files of a job hold, and what Salesforce counts. */
interface Counts {
  succeeded: number;
  failed: number;
  unprocessed: number;
}

function mismatch(job: Job, files: ResultFiles): LoadError | undefined {
  const counts = {
    succeeded: files.successfulResults.records,
    failed: files.failedResults.records,
    unprocessed: files.unprocessedrecords.records,
  };
  if (addsUp(job, counts)) return undefined;
  const { succeeded, failed, unprocessed } = counts;
  return new LoadError(
    'RESULTS_INCOMPLETE',
    `The result files of job ${job.id} do not add up: ${succeeded} succeeded, ${failed} failed, ${unprocessed} unprocessed; ` +
      `${countsOf(job)}. Salesforce keeps the results for seven days: send the job again.`,
  );
}

function countsOf({ records, numberRecordsProcessed, numberRecordsFailed }: Job): string {
  const uploaded = records > 0 ? String(records) : 'by another tool';
  return `uploaded ${uploaded}, Salesforce counts ${numberRecordsProcessed} processed, ${numberRecordsFailed} of them failed`;
}

/**
 * In `JobComplete` the counters are exact, and processed includes failed. In `Failed` and `Aborted` a whole batch may
 * have failed without the counters moving, so there the sum of the files tells (reference §1.3, §9). A job that another
 * tool made has no known number of records: then its counters are all there is, and its files hold that much at least.
 */
function addsUp(job: Job, { succeeded, failed, unprocessed }: Counts): boolean {
  const { numberRecordsProcessed, numberRecordsFailed } = job;
  const isComplete = job.state === 'JobComplete';
  if (isComplete && failed !== numberRecordsFailed) return false;
  if (isComplete && succeeded !== numberRecordsProcessed - numberRecordsFailed) return false;
  if (job.records > 0) return succeeded + failed + unprocessed === job.records;
  return isComplete || (failed >= numberRecordsFailed && succeeded + failed >= numberRecordsProcessed);
}

async function removeAll(files: Partial<ResultFiles>): Promise<void> {
  for (const kind of RESULT_KINDS) {
    await files[kind]?.file.remove();
    delete files[kind];
  }
}
