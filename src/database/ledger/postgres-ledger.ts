import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../../clock.ts';
import { LoadError } from '../../errors.ts';
import type { Job } from '../../job.ts';
import { type Logger, silentLogger } from '../../log.ts';
import type { Receipt } from '../../receipt.ts';
import type { Database } from '../pool.ts';
import { brokenOff } from './broken-off.ts';
import { claimStateOf } from './claim-state.ts';
import type {
  ClaimLetters,
  ClaimPart,
  ClaimState,
  JobLedger,
  LedgerJob,
  LedgerJobState,
  LedgerRun,
  LoadHold,
  LoadKey,
  RetryEntry,
  RetryOutcome,
  RunState,
} from './job-ledger.ts';
import * as jobs from './job-sql.ts';
import { asJob, asRetry, asRun, type JobRow, type RetryRow, type RunRow } from './ledger-rows.ts';
import { LedgerStore } from './ledger-store.ts';
import { LoadLock } from './load-lock.ts';
import { lastOfEach } from './retry-outcomes.ts';
import * as retries from './retry-sql.ts';
import * as runs from './run-sql.ts';

const MAX_WAIT_MS = 600_000;

/**
 * The ledger in PostgreSQL: for any number of processes, and for what comes after them. Its tables are made when missing.
 * Every statement may be repeated, so that each waits for a database that is away, at most `maxWaitMs`, and then rejects with
 * `DB_UNAVAILABLE`.
 *
 * The locks need connections that stay theirs: a pooler that hands out connections by transaction does not do.
 */
export class PostgresLedger implements JobLedger {
  readonly durable = true;
  readonly #store: LedgerStore;
  readonly #locks = new Set<LoadLock>();

  constructor(
    db: Database,
    { clock = systemClock, log = silentLogger, maxWaitMs = MAX_WAIT_MS }: PostgresLedgerOptions = {},
  ) {
    this.#store = new LedgerStore(db, { clock, log, maxWaitMs });
  }

  async now(): Promise<Date> {
    const rows = await this.#store.rows<{ now: Date }>('SELECT clock_timestamp() AS now');
    return only(rows).now;
  }

  async acquire(load: LoadKey): Promise<LoadHold | undefined> {
    for (const lock of this.#locks) if (lock.isReleased) this.#locks.delete(lock);
    const lock = await LoadLock.take(this.#store, load);
    if (lock !== undefined) this.#locks.add(lock);
    return lock;
  }

  async lastRunEndedAt(load: LoadKey): Promise<Date | undefined> {
    const rows = await this.#store.rows<{ last_run_ended_at: Date }>(runs.LAST_RUN_ENDED_AT, keyOf(load));
    return rows[0]?.last_run_ended_at;
  }

  async beginRun(hold: LoadHold, runId: string): Promise<LedgerRun> {
    const rows = await this.#fenced<RunRow>(hold, runs.BEGIN_RUN, [runId]);
    return asRun(only(rows));
  }

  async runLoaded(
    hold: LoadHold,
    runId: string,
    { received, rejected, complete }: { received: number; rejected: number; complete: boolean },
  ): Promise<void> {
    await this.#fenced(hold, runs.RUN_LOADED, [runId, received, rejected, complete]);
  }

  async endRun(hold: LoadHold, runId: string, receipt: Receipt): Promise<void> {
    await this.#fenced(hold, runs.END_RUN, [runId, JSON.stringify(receipt), receipt.received > 0]);
  }

  async addApiCalls(runId: string, calls: number): Promise<void> {
    await this.#store.rows(runs.ADD_API_CALLS, [runId, calls, randomUUID()]);
  }

  async unfinishedRuns(load: LoadKey): Promise<LedgerRun[]> {
    return (await this.#store.rows<RunRow>(runs.UNFINISHED_RUNS, keyOf(load))).map(asRun);
  }

  async findRun(runId: string): Promise<LedgerRun | undefined> {
    return (await this.#store.rows<RunRow>(runs.FIND_RUN, [runId])).map(asRun)[0];
  }

  async addJob(
    hold: LoadHold,
    { job, runId, carried, claimIds, claimParts = [] }: Parameters<JobLedger['addJob']>[1],
  ): Promise<void> {
    const texts = [job, carried, claimParts].map((value) => JSON.stringify(value));
    const values = [job.id, runId, job.index, ...texts, claimIds];
    const rows = await this.#store.rows<{ current: boolean; added: boolean; known_run: string | null }>(
      jobs.ADD_JOB,
      [...fenceOf(hold), ...values],
    );
    const { current, added, known_run } = only(rows);
    if (!current) throw brokenOff(hold.load);
    if (!added && known_run !== runId) {
      throw new LoadError(
        'CONFIG_INVALID',
        `Job ${job.id} is in this ledger already, with run ${known_run}: the ledger is of another org. Give each org a ledger ` +
          'of its own: a sync-database node with another database, or with a user whose schema is another one.',
      );
    }
  }

  async markClosing(hold: LoadHold, jobId: string): Promise<boolean> {
    const rows = await this.#store.rows(jobs.MARK_CLOSING, [...fenceOf(hold), jobId]);
    return rows.length > 0;
  }

  async markClosed(jobId: string, job: Job): Promise<void> {
    await this.#store.rows(jobs.MARK_CLOSED, [jobId, JSON.stringify(job)]);
  }

  async discardJob(jobId: string, reason: string): Promise<void> {
    await this.#store.rows(jobs.DISCARD_JOB, [jobId, storable(reason)]);
  }

  async parkJob(jobId: string, reason: string): Promise<void> {
    await this.#store.rows(jobs.PARK_JOB, [jobId, storable(reason)]);
  }

  async unparkJob(jobId: string): Promise<void> {
    await this.#store.rows(jobs.PARK_JOB, [jobId, null]);
  }

  async settleJob(jobId: string, job: Job, receipt: Receipt): Promise<void> {
    await this.#store.rows(jobs.SETTLE_JOB, [jobId, JSON.stringify(job), JSON.stringify(receipt)]);
  }

  async abandonJob(jobId: string, by: string, reason: string, receipt: Receipt): Promise<boolean> {
    const values = [jobId, storable(by), storable(reason), JSON.stringify(receipt)];
    return (await this.#store.rows(jobs.ABANDON_JOB, values)).length > 0;
  }

  async noteGivenBack(jobId: string, letters: ClaimLetters[]): Promise<ClaimLetters[]> {
    const values = [jobId, JSON.stringify(letters)];
    const rows = await this.#store.rows<{ given_back: ClaimLetters[] }>(jobs.NOTE_GIVEN_BACK, values);
    return rows[0]?.given_back ?? letters;
  }

  async findJob(jobId: string): Promise<LedgerJob | undefined> {
    return (await this.#store.rows<JobRow>(jobs.FIND_JOB, [jobId])).map(asJob)[0];
  }

  async jobsOfRun(runId: string): Promise<LedgerJob[]> {
    return (await this.#store.rows<JobRow>(jobs.JOBS_OF_RUN, [runId])).map(asJob);
  }

  async unsettledJobs(load: LoadKey): Promise<LedgerJob[]> {
    return (await this.#store.rows<JobRow>(jobs.UNSETTLED_JOBS, keyOf(load))).map(asJob);
  }

  async beginRetries(
    keys: { key: string; jobId: string | null }[],
    hold: LoadHold | undefined,
  ): Promise<Map<string, RetryEntry>> {
    const jobIds = new Map(keys.map(({ key, jobId }) => [key, jobId]));
    const fence = hold === undefined ? [false, null, null, null] : [true, ...fenceOf(hold)];
    const values = [[...jobIds.keys()], [...jobIds.values()], randomUUID(), ...fence];
    const rows = await this.#store.rows<BegunRow>(retries.BEGIN_RETRIES, values);
    if (hold !== undefined && rows[0]?.current !== true) throw brokenOff(hold.load);
    const begun = rows.filter(({ key }) => key !== null);
    const known = new Map(
      begun.filter(wasKnown).map((row) => [row.key, asRetry({ ...row, state: 'failed' })]),
    );
    const ours = new Set(begun.map(({ key }) => key));
    const others = [...jobIds.keys()].filter((key) => !ours.has(key));
    for (const entry of await this.#findRetries(others)) known.set(entry.key, entry);
    return known;
  }

  async knownRetries(of: { keys: readonly string[]; sfIds: readonly string[] }): Promise<RetryEntry[]> {
    const [byKey, byId] = [
      await this.#findRetries(of.keys),
      await this.#findRetries(of.sfIds, retries.FIND_RETRIES_OF_RECORDS),
    ];
    return [...new Map([...byKey, ...byId].map((entry) => [entry.key, entry])).values()];
  }

  async endRetries(outcomes: RetryOutcome[], hold?: LoadHold): Promise<void> {
    const last = lastOfEach(outcomes);
    if (last.length === 0) return;
    const rows = await this.#store.rows<{ epoch: string | null }>(retries.END_RETRIES, [
      last.map(({ key }) => key),
      last.map(({ state }) => state),
      last.map(({ sfId }) => sfId),
      last.map(({ attempts }) => JSON.stringify(attempts)),
      hold?.load.orgId ?? null,
      hold?.load.loadName ?? null,
      hold?.epoch ?? null,
    ]);
    if (hold !== undefined && Number(rows[0]?.epoch) !== hold.epoch) throw brokenOff(hold.load);
  }

  async claimState(claimId: string): Promise<ClaimState> {
    const rows = await this.#store.rows<ClaimRow>(jobs.JOBS_OF_CLAIM, [claimId]);
    if (rows.length === 0 && (await this.#anyRunIsLoading())) return 'loading';
    return claimStateOf(
      rows.map(({ run_id, file_index, state, run_state, claim_parts }) => ({
        runId: run_id,
        index: file_index,
        state,
        runState: run_state,
        part: claim_parts.find((part) => part.claimId === claimId),
      })),
    );
  }

  /** Such a run may hold records of a claim in scratch files that no job names yet. */
  async #anyRunIsLoading(): Promise<boolean> {
    return (await this.#store.rows(runs.LOADING_RUNS)).length > 0;
  }

  async prune(load: LoadKey, days: number): Promise<number> {
    const pruned = await this.#store.rows(runs.PRUNE_RUNS, [...keyOf(load), days]);
    await this.#store.rows(runs.PRUNE_RETRIES, [days]);
    return pruned.length;
  }

  /** Frees the locks. The database stays open: it belongs to whoever made it. */
  async close(): Promise<void> {
    await Promise.all([...this.#locks].map((lock) => lock.release()));
    this.#store.close();
  }

  /** A fenced statement that gives no row has met a newer epoch. */
  async #fenced<R extends object>(hold: LoadHold, sql: string, values: unknown[]): Promise<R[]> {
    const rows = await this.#store.rows<R & Record<string, unknown>>(sql, [...fenceOf(hold), ...values]);
    if (rows.length === 0) throw brokenOff(hold.load);
    return rows;
  }

  async #findRetries(wanted: readonly string[], sql: string = retries.FIND_RETRIES): Promise<RetryEntry[]> {
    if (wanted.length === 0) return [];
    return (await this.#store.rows<RetryRow>(sql, [wanted])).map(asRetry);
  }
}

export interface PostgresLedgerOptions {
  clock?: Clock;
  log?: Logger;
  /** How long a statement waits for a database that is away. Default 10 minutes. */
  maxWaitMs?: number;
}

type BegunRow = RetryRow & { current: boolean; calls: number; was_known: boolean };

interface ClaimRow {
  run_id: string;
  file_index: number;
  state: LedgerJobState;
  claim_parts: ClaimPart[];
  run_state: RunState;
}

/** Also true when this call found its own mark: it had failed before, unless it is the first. */
function wasKnown({ calls, was_known }: BegunRow): boolean {
  return was_known && calls > 1;
}

function keyOf({ orgId, loadName }: LoadKey): unknown[] {
  return [orgId, loadName];
}

function fenceOf({ load, epoch }: LoadHold): unknown[] {
  return [...keyOf(load), epoch];
}

/** PostgreSQL's text cannot hold NUL. */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

function only<T>(rows: T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('The ledger gave no row where it always gives one.');
  return row;
}
