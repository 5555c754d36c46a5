import type { CsvReader, CsvRow } from '../csv/csv-reader.ts';
import type { RowLocks } from '../data/locks.ts';
import type { Draft, SaveContext, Saver } from '../data/save.ts';
import type { Settings } from '../options.ts';
import type { DraftMaker } from './drafts.ts';
import type { Job } from './job.ts';
import type { ResultRows } from './result-rows.ts';
import type { ResultWriter } from './result-writer.ts';

/** Records of one save: one trigger and flow transaction (reference §3). */
export const CHUNK = 200;
/** Past this many lock failures a batch goes back to the queue, which the job's `retries` count. */
const LOCK_FAILURES_PER_RETRY = 100;

export interface ResultFiles {
  rows: ResultRows;
  success: ResultWriter;
  failed: ResultWriter;
}

/** Saves the records of one job, chunk by chunk, and writes down what became of each. */
export class ChunkSaver {
  readonly #settings: Settings;
  readonly #saver: Saver;
  readonly #locks: RowLocks;
  readonly #job: Job;
  readonly #drafts: DraftMaker;
  readonly #files: ResultFiles;
  readonly #ownerId: string | undefined;
  #lockFailures = 0;

  constructor(
    parts: { settings: Settings; saver: Saver; locks: RowLocks },
    job: Job,
    drafts: DraftMaker,
    files: ResultFiles,
  ) {
    this.#settings = parts.settings;
    this.#saver = parts.saver;
    this.#locks = parts.locks;
    this.#job = job;
    this.#drafts = drafts;
    this.#files = files;
    this.#ownerId = job.object.assignmentRules?.find((rule) => rule.id === job.assignmentRuleId)?.ownerId;
  }

  async save(rows: readonly CsvRow[]): Promise<void> {
    const job = this.#job;
    const began = performance.now();
    const batch = Math.floor(job.processed / this.#settings.batchRecords);
    if (job.processed % this.#settings.batchRecords === 0) {
      this.#beginBatch(batch);
    }
    const drafts = rows.map((row) => this.#drafts.make(row));
    const outcomes = this.#saver.save(this.#context(batch), drafts);
    let failures = 0;
    for (let i = 0; i < rows.length; i++) {
      const outcome = outcomes[i];
      const row = rows[i] as CsvRow;
      if (outcome && 'saved' in outcome) {
        this.#files.success.add(this.#files.rows.success(row, drafts[i] as Draft, outcome));
      } else if (outcome) {
        failures++;
        this.#lockFailures += outcome.faults.some((fault) => fault.code === 'UNABLE_TO_LOCK_ROW') ? 1 : 0;
        this.#files.failed.add(this.#files.rows.failure(row, outcome));
      }
    }
    job.processed += rows.length;
    job.failed += failures;
    job.apiActiveProcessingTime += Math.ceil(performance.now() - began);
    await this.#files.success.flush();
    await this.#files.failed.flush();
  }

  #beginBatch(batch: number): void {
    if (batch % this.#settings.parallelBatches === 0) {
      this.#locks.startWave(this.#job.id);
    }
    this.#job.retries += this.#lockFailures > LOCK_FAILURES_PER_RETRY ? 1 : 0;
    this.#lockFailures = 0;
  }

  #context(batch: number): SaveContext {
    const job = this.#job;
    const slice = Math.floor((job.processed % this.#settings.batchRecords) / CHUNK);
    return {
      api: 'bulk',
      object: job.object,
      operation: job.operation,
      externalIdField: job.externalIdField,
      ownerId: this.#ownerId,
      isLocked: (parentId) => this.#locks.isLocked(job.id, batch, slice, parentId),
    };
  }
}

/** The records of a file in chunks of 200, the last one shorter. */
export async function* chunksOf(source: AsyncIterable<Buffer>, reader: CsvReader): AsyncGenerator<CsvRow[]> {
  let waiting: CsvRow[] = [];
  for await (const bytes of source) {
    const rows = reader.push(bytes);
    waiting = waiting.length > 0 ? waiting.concat(rows) : rows;
    let at = 0;
    for (; waiting.length - at >= CHUNK; at += CHUNK) {
      yield waiting.slice(at, at + CHUNK);
    }
    waiting = waiting.slice(at);
  }
  waiting = waiting.concat(reader.end());
  for (let at = 0; at < waiting.length; at += CHUNK) {
    yield waiting.slice(at, at + CHUNK);
  }
}
