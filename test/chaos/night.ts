import { randomUUID } from 'node:crypto';
import { DeadLetters, type NewDeadLetter } from '../../src/database/dead-letters.ts';
import { isUnsettled } from '../../src/database/ledger/job-ledger.ts';
import { openSelect } from '../../src/database/select.ts';
import { Writeback } from '../../src/database/writeback.ts';
import { LoadError, reasonOf } from '../../src/errors.ts';
import type { FailedRow, Failure } from '../../src/failure.ts';
import { type Classifier, createClassifier } from '../../src/failures/classify.ts';
import { SingleRetry } from '../../src/failures/retry.ts';
import type { Job, JobSpec } from '../../src/job.ts';
import { type SalesforceConnection, settlements } from '../../src/load/connection.ts';
import { Load } from '../../src/load/load.ts';
import type { LoadOptions } from '../../src/load/load-options.ts';
import type { JobResults } from '../../src/load/results.ts';
import type { Settlement } from '../../src/load/settlement.ts';
import type { Receipt } from '../../src/receipt.ts';
import type { SourceRecord } from '../../src/record.ts';
import { until } from '../support/until.ts';
import type { ConnectOptions, NightWorld } from './night-world.ts';

export interface NightOptions extends ConnectOptions {
  load?: Partial<LoadOptions>;
  spec?: Partial<JobSpec>;
  /** Milliseconds of the world's clock. */
  watch?: { timeoutMs?: number; stallTimeoutMs?: number };
  /** Rows that are selected, sent and marked at once. */
  batch?: number;
  /** A column more than Key__c, Name and Value__c. */
  extraColumn?: string;
}

const SPEC: JobSpec = {
  object: 'Load_Test__c',
  operation: 'insert',
  // Of an insert it serves the look-up of retries whose answer was lost.
  externalIdField: 'Key__c',
  columnDelimiter: 'COMMA',
  lineEnding: 'LF',
  assignmentRuleId: null,
};
const READY_ROWS = "SELECT id, key FROM source WHERE status = 'READY' ORDER BY id";
const DEFAULT_BATCH = 100;
const STUCK_AFTER_MS = 600_000;

interface Row {
  id: string;
  key: string;
}

/**
 * The whole nightly load without Node-RED, made of the classes that the nodes are thin covers of: select, load, poll, results,
 * classify, retry, dead letters, write-back, receipt. `trigger` is the press of its button, and waits until nothing goes on
 * any more.
 */
export class Night {
  readonly connection: SalesforceConnection;
  readonly load: Load;
  /** Of jobs and of runs, as they left. */
  readonly jobReceipts: Receipt[] = [];
  readonly runReceipts: Receipt[] = [];
  /** What a Catch node would have heard. */
  readonly errors: unknown[] = [];
  readonly #world: NightWorld;
  readonly #options: NightOptions;
  readonly #classifier: Classifier = createClassifier({ ruleSet: 'complete' });
  readonly #retry: SingleRetry;
  readonly #letters: DeadLetters;
  readonly #writebacks: Record<'done' | 'healed' | 'failed', Writeback>;
  readonly #underWay = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #batch: number;
  #extraColumn: string | undefined;

  constructor(world: NightWorld, options: NightOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.#batch = options.batch ?? DEFAULT_BATCH;
    this.#extraColumn = options.extraColumn;
    this.connection = world.connect(options);
    this.load = new Load({
      connection: this.connection,
      loadName: 'rows',
      mode: 'parallel',
      mapping: [],
      nulls: 'clear',
      maxRecordsPerJob: 200,
      maxBytesPerJob: 100_000_000,
      maxFiles: 3,
      outageMs: 600_000,
      onJob: (job) => this.#background(this.#follow(job)),
      onReceipt: (receipt) => this.runReceipts.push(receipt),
      canSend: () => true,
      ...options.load,
    });
    const { ledger, session, records, describe, clock } = this.connection;
    const judge = this.#classifier.judge;
    this.#retry = new SingleRetry({
      ...{ mode: 'auto', maxAttempts: 3, backoffMs: 1000, concurrency: 2 },
      ...{ ledger, session, records, describe, judge, clock },
    });
    this.#letters = new DeadLetters(world.db, { table: 'sf_sync_dead_letter', createTable: true });
    this.#writebacks = {
      done: writeback(world, 'DONE', { sf_id: 'sf__Id' }),
      healed: writeback(world, 'DONE', { sf_id: 'sfId' }),
      failed: writeback(world, 'FAILED', { error: 'error' }),
    };
  }

  /** Codes of the errors so far, in order; of what has none, its text. */
  get codes(): string[] {
    return this.errors.map((error) => (error instanceof LoadError ? error.code : reasonOf(error)));
  }

  /** Selects what is READY, loads it, and waits until all is settled or parked. */
  async trigger(timeoutMs?: number): Promise<void> {
    await this.#loadReady().catch((error) => this.errors.push(error));
    await this.quiet(timeoutMs);
  }

  /** Until nothing goes on any more: every run has ended, or all that is left of it is parked. */
  async quiet(timeoutMs = 20_000): Promise<void> {
    await until(() => this.#isQuiet(), 'the load stands still', timeoutMs);
  }

  /** As a person mends a mapping. */
  leaveOutExtraColumn(): void {
    this.#extraColumn = undefined;
  }

  /** As a redeploy stops it: at once, jobs under way parked. */
  async close(): Promise<void> {
    this.#closing.abort(new LoadError('LOAD_BROKEN_OFF', 'closed by the test'));
    await this.load.close();
    await Promise.all(this.#underWay);
  }

  async #isQuiet(): Promise<boolean> {
    await Promise.all(this.#underWay);
    const { ledger, session } = this.connection;
    const key = { orgId: (await session.identity()).orgId, loadName: this.load.loadName };
    if ((await ledger.unfinishedRuns(key)).length === 0) return this.load.hold === undefined;
    const jobs = await ledger.unsettledJobs(key);
    return this.#underWay.size === 0 && jobs.length > 0 && jobs.every((job) => job.parkedReason !== null);
  }

  async #loadReady(): Promise<void> {
    // Rows that are stale by the fast clock may be fresh by the ledger's; load.test.ts is about those.
    const run = await this.load.beginRun({ openedAt: undefined, carried: { _msgid: randomUUID() } });
    const select = openSelect(this.#world.db, { sql: READY_ROWS, batchSize: this.#batch });
    try {
      for await (const rows of select) {
        const records = (rows as unknown as Row[]).map((row) => this.#recordOf(row));
        await run.write(records, { ...SPEC, ...this.#options.spec }, undefined);
      }
      await run.finish();
    } catch (error) {
      await run.breakOff(error);
      throw error;
    } finally {
      await select.close();
    }
  }

  #recordOf({ id, key }: Row): SourceRecord {
    const record: SourceRecord = { Name: `Row ${id}`, Key__c: key, Value__c: Number(id) };
    if (this.#extraColumn !== undefined) record[this.#extraColumn] = 'x';
    return record;
  }

  #background(work: Promise<void>): void {
    const noted = work
      .catch((error) => {
        this.errors.push(error);
      })
      .finally(() => this.#underWay.delete(noted));
    this.#underWay.add(noted);
  }

  /** What poll and results nodes do with a job's message. */
  async #follow(job: Job): Promise<void> {
    const final = await this.#inHand(job, 'poll', () => this.#watch(job));
    if (final) await this.#inHand(final, 'results', () => this.#read(final));
  }

  async #inHand<T>(job: Job, whose: string, work: () => Promise<T>): Promise<T | undefined> {
    const release = await this.connection.carryOn(job.id, whose);
    if (!release) return undefined;
    try {
      return await work();
    } catch (error) {
      release();
      await this.connection.park(job.id, reasonOf(error), false);
      throw error;
    } finally {
      release();
    }
  }

  #watch(job: Job): Promise<Job> {
    return this.connection.watcher.watch(job, {
      intervalMs: 10_000,
      maxIntervalMs: 60_000,
      timeoutMs: 0,
      stallTimeoutMs: 600_000,
      ...this.#options.watch,
      signal: this.#closing.signal,
    });
  }

  async #read(job: Job): Promise<void> {
    const { connection } = this;
    const signal = this.#closing.signal;
    const startedAt = new Date().toISOString();
    const files = await connection.downloadResults(job, signal);
    const settlement = await connection.openSettlement(files, this.#batch);
    try {
      await this.#successes(files, settlement);
      for await (const rows of files.rows('failedResults', this.#batch, signal))
        await this.#failures(rows as FailedRow[], job, settlement);
      await settlement.untilAccounted(STUCK_AFTER_MS, signal);
      this.jobReceipts.push(await connection.settle(settlement, startedAt));
    } finally {
      settlements.close(settlement);
      await files.remove();
    }
  }

  async #successes(files: JobResults, settlement: Settlement): Promise<void> {
    let index = 0;
    for await (const rows of files.rows('successfulResults', this.#batch, this.#closing.signal)) {
      await this.#writebacks.done.write(rows);
      settlement.noteWrittenBack(index, rows.length);
      index += 1;
    }
  }

  async #failures(rows: FailedRow[], job: Job, settlement: Settlement): Promise<void> {
    const { connection } = this;
    const failures = rows.map((row) => this.#classifier.classify(row, new Date().toISOString()));
    const retryable = failures.filter((failure) => failure.retryable);
    const hold = await connection.holdFor(job.id);
    const meter = connection.meters.of(job.id);
    const { signal } = this.#closing;
    const retried = await this.#retry.retry(retryable, job, { signal, hold, meter, comesAgain: true });
    const { broken } = retried;
    if (retried.succeeded.length > 0)
      await this.#writebacks.healed.write(retried.succeeded as unknown as SourceRecord[]);
    settlement.noteRetried(retried.succeeded.map(({ key }) => key));
    await this.#bury([...failures.filter((failure) => !failure.retryable), ...retried.failed], job);
    const elsewhere = new Set([...retried.succeeded, ...(broken?.rest ?? [])].map(({ key }) => key));
    settlement.noteDeadLettered(failures.map(({ key }) => key).filter((key) => !elsewhere.has(key)));
    // What it leaves is not dealt with: the job is parked, and its results are sent again.
    if (broken !== undefined) throw broken.error;
  }

  async #bury(failures: Failure[], job: Job): Promise<void> {
    if (failures.length === 0) return;
    await this.#letters.store(failures.map((failure) => letterOf(failure, job, this.load.loadName)));
    await this.#writebacks.failed.write(failures as unknown as SourceRecord[]);
  }

  /** Jobs of the load that no receipt accounts for yet, by the ledger. */
  async unsettledJobs(): Promise<string[]> {
    const jobs = await this.connection.ledger.unsettledJobs({
      orgId: (await this.connection.session.identity()).orgId,
      loadName: this.load.loadName,
    });
    return jobs.filter(isUnsettled).map(({ job }) => job.id);
  }
}

function writeback(world: NightWorld, status: string, fields: Record<string, string>): Writeback {
  return new Writeback(world.db, {
    table: 'source',
    keyColumn: 'key',
    keyField: 'Key__c',
    set: [
      { column: 'status', value: status, valueType: 'str' },
      ...Object.entries(fields).map(([column, value]) => ({ column, value, valueType: 'field' as const })),
    ],
  });
}

function letterOf(failure: Failure, job: Job, loadName: string): NewDeadLetter {
  return {
    key: failure.key,
    recordData: failure.originalData,
    errorMessage: failure.error,
    errorCode: failure.errorCode,
    errorCategory: failure.errorCategory,
    retryable: failure.retryable,
    attempts: failure.attempts,
    jobId: job.id,
    runId: job.runId,
    loadName,
    object: job.object,
    operation: job.operation,
    externalIdField: job.externalIdField,
  };
}
