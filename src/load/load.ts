import { randomUUID } from 'node:crypto';
import {
  isUnsettled,
  type LedgerJob,
  type LedgerRun,
  type LoadHold,
  type LoadKey,
} from '../database/ledger/job-ledger.ts';
import { LoadError, reasonOf } from '../errors.ts';
import { isFinal, type Job, type JobSpec } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import type { RunningLoad, SalesforceConnection } from './connection.ts';
import { type JobFile, JobFileWriter, type Mapping, type NullHandling } from './job-files.ts';
import { Run } from './run.ts';
import { abandonedReceipt, asLoaded, confirmClose, giveUpOpen } from './take-over.ts';
import { Uploader } from './upload.ts';

export type LoadMode = 'parallel' | 'serial';

export interface LoadOptions {
  connection: SalesforceConnection;
  /** The load's name in the ledger. */
  loadName: string;
  mode: LoadMode;
  mapping: Mapping[];
  nulls: NullHandling;
  /** 0 = no limit. */
  maxRecordsPerJob: number;
  maxBytesPerJob: number;
  /** Scratch files that may exist at once, the one being written included. */
  maxFiles: number;
  outageMs: number;
  /** A closed job's message is to go out, with what the run's first message carried. */
  onJob: (job: Job, carried: Record<string, unknown>) => void;
  onReceipt: (receipt: Receipt, carried: Record<string, unknown>) => void;
  /** False while flows are being deployed: a message sent then may reach nobody. `start` is called when they are up. */
  canSend: () => boolean;
}

export interface RunStart {
  /** When the sequence was opened, by this machine's clock; undefined for rows that no tracked sender read. */
  openedAt: number | undefined;
  /** What the first message carries: its jobs and its receipt leave on it. */
  carried: Record<string, unknown>;
}

/** Bulk API 2.0 cuts a job into batches of this size, which contend with each other (design §8). */
const SERIAL_RECORDS_PER_JOB = 10_000;

/**
 * What one `sf-bulk-create` does, night after night: one run at a time in all processes, jobs of an unfinished run carried
 * on before new rows are taken (design §7.1, 7.8).
 */
export class Load implements RunningLoad {
  readonly loadName: string;
  readonly #options: LoadOptions;
  #key: LoadKey | undefined;
  #run: Run | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;
  readonly #onSettled = (job: Job, receipt: Receipt): void =>
    this.#background(this.#inTurn(async () => this.#run?.settle(job, receipt)));
  readonly #onParked = (jobId: string, reason: string, again: boolean): void =>
    this.#background(this.#parked(jobId, reason, again));

  constructor(options: LoadOptions) {
    this.#options = options;
    this.loadName = options.loadName;
    options.connection.register(this);
    options.connection.events.on('settled', this.#onSettled);
    options.connection.events.on('parked', this.#onParked);
  }

  get hold(): LoadHold | undefined {
    return this.#run?.hold;
  }

  /** Jobs of the run that are not settled, and those of them that stopped. */
  get unsettled(): Job[] {
    return this.#run?.unsettled ?? [];
  }

  /**
   * Carries on what an earlier process, or an earlier deploy, left unfinished: its open jobs are given up, its closed jobs
   * sent again. Does nothing when nothing is left, or when another process is at it.
   */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed) return;
      if (this.#run) {
        if (this.#run.state === 'loaded') await this.#sendAgain(this.#run, () => true);
        return;
      }
      const unfinished = await this.#ledger.unfinishedRuns(await this.#loadKey());
      if (unfinished.length > 0) await this.#takeOverIfFree(unfinished);
    });
  }

  /**
   * Takes the load over when the process that ran it is gone: for a second Node-RED with the same flow. Jobs that were
   * parked wait for a start or a trigger.
   */
  standIn(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed || this.#run || !this.#ledger.durable) return;
      const unfinished = await this.#ledger.unfinishedRuns(await this.#loadKey());
      const jobs = await this.#ledger.unsettledJobs(await this.#loadKey());
      const onlyParked = jobs.length > 0 && jobs.every(({ parkedReason }) => parkedReason !== null);
      if (unfinished.length > 0 && !onlyParked) await this.#takeOverIfFree(unfinished);
    });
  }

  /**
   * Begins a pass. Until it has ended, no other begins, in this process or another.
   *
   * @throws LoadError LOAD_ALREADY_RUNNING, LOAD_UNSETTLED (parked jobs were sent again), LOAD_STALE
   */
  beginRun(start: RunStart): Promise<Run> {
    return this.#inTurn(async () => {
      await this.#run?.ending.catch(() => {});
      if (this.#run) await this.#refuseSecondRun(this.#run);
      const hold = await this.#acquireSettled();
      await this.#refuseStale(start).catch(async (error) => {
        await hold.release();
        throw error;
      });
      const record = await this.#ledger.beginRun(hold, randomUUID());
      this.#background(this.#ledger.prune(hold.load, this.#options.connection.retentionDays));
      this.#run = this.#openRun(hold, record, start.carried);
      return this.#run;
    });
  }

  /** Somebody works on one of this load's jobs again; what parked it is over. */
  carryOn(known: LedgerJob): Promise<void> {
    return this.#inTurn(async () => {
      if (known.parkedReason !== null) await this.#ledger.unparkJob(known.job.id);
      if (this.#run?.id === known.runId) {
        this.#run.unpark(known.job.id);
        return;
      }
      const hold = await this.#acquire();
      await this.#takeOver(hold, await this.#ledger.unfinishedRuns(hold.load), false);
      this.#run?.unpark(known.job.id);
    });
  }

  /**
   * Gives a closed job up for good: its records count as unaccounted, the next trigger loads again. For jobs whose results
   * are gone (BULK_JOB_GONE) nothing else ends them.
   */
  abandon(jobId: string, by: string, reason: string): Promise<Receipt> {
    return this.#inTurn(async () => {
      const known = await this.#ledger.findJob(jobId);
      if (!known || known.load.loadName !== this.loadName || !isUnsettled(known)) {
        throw new LoadError(
          'CONFIG_INVALID',
          `Job ${jobId} is no unsettled job of load "${this.loadName}"; nothing to abandon.`,
        );
      }
      if (this.#run?.id !== known.runId) {
        const hold = await this.#acquire();
        await this.#takeOver(hold, await this.#ledger.unfinishedRuns(hold.load), false);
      }
      const receipt = abandonedReceipt(known, (await this.#ledger.now()).toISOString());
      await this.#ledger.abandonJob(jobId, by, reason, receipt);
      this.#options.connection.log.warn(
        `Job ${jobId} of load "${this.loadName}" was abandoned by ${by}: ${reason}`,
      );
      await this.#run?.settle(known.job, receipt);
      return receipt;
    });
  }

  /** Gives up what is being uploaded, parks what is not settled and lets another process have the load. */
  async close(): Promise<void> {
    this.#closed = true;
    const { connection } = this.#options;
    connection.deregister(this);
    connection.events.off('settled', this.#onSettled);
    connection.events.off('parked', this.#onParked);
    await this.#inTurn(async () => {
      const run = this.#run;
      if (!run) return;
      await run.breakOff(
        new LoadError('LOAD_BROKEN_OFF', 'Node-RED stopped or was redeployed while the load was running.'),
      );
      this.#run = undefined;
      await run.hold.release();
    });
  }

  get #ledger() {
    return this.#options.connection.ledger;
  }

  async #loadKey(): Promise<LoadKey> {
    this.#key ??= {
      orgId: (await this.#options.connection.session.identity()).orgId,
      loadName: this.loadName,
    };
    return this.#key;
  }

  async #acquire(): Promise<LoadHold> {
    const hold = await this.#ledger.acquire(await this.#loadKey());
    if (hold) return hold;
    throw new LoadError(
      'LOAD_ALREADY_RUNNING',
      `Load "${this.loadName}" is running in another Node-RED. It was not started a second time; the rows stay READY.`,
    );
  }

  async #refuseSecondRun(run: Run): Promise<never> {
    const inHand = run.unsettled.filter(({ id }) => this.#options.connection.inHand.has(id));
    if (run.state === 'loading' || inHand.length > 0) {
      throw new LoadError(
        'LOAD_ALREADY_RUNNING',
        `Load "${this.loadName}" is still running (${run.state === 'loading' ? 'rows are being loaded' : named(inHand)}). It ` +
          'was not started a second time; the rows stay READY.',
      );
    }
    await this.#sendAgain(run, () => true);
    throw unsettledError(this.loadName, run.unsettled);
  }

  /** The hold of a load of which no run is unfinished; one without closed jobs is ended on the way. */
  async #acquireSettled(): Promise<LoadHold> {
    for (;;) {
      const hold = await this.#acquire();
      const unfinished = await this.#ledger.unfinishedRuns(hold.load);
      if (unfinished.length === 0) return hold;
      await this.#takeOver(hold, unfinished, true);
      if (this.#run) throw unsettledError(this.loadName, (this.#run as Run).unsettled);
    }
  }

  async #refuseStale(start: RunStart): Promise<void> {
    if (start.openedAt === undefined) return;
    const endedAt = await this.#ledger.lastRunEndedAt(await this.#loadKey());
    if (!endedAt) return;
    const ahead = (await this.#ledger.now()).getTime() - this.#options.connection.clock.now();
    if (start.openedAt + ahead > endedAt.getTime()) return;
    throw new LoadError(
      'LOAD_STALE',
      `These rows were read before the last run of load "${this.loadName}" ended (${endedAt.toISOString()}), so some of them ` +
        'may be loaded already. Nothing was loaded; start the select again.',
    );
  }

  async #takeOverIfFree(unfinished: readonly LedgerRun[]): Promise<void> {
    const hold = await this.#ledger.acquire(await this.#loadKey());
    if (hold) await this.#takeOver(hold, unfinished, true);
  }

  /** Makes this process the one that carries the unfinished runs on, oldest first. */
  async #takeOver(hold: LoadHold, unfinished: readonly LedgerRun[], send: boolean): Promise<void> {
    const [record] = unfinished;
    if (!record) {
      await hold.release();
      return;
    }
    const { connection } = this.#options;
    const jobs = await this.#ledger.jobsOfRun(record.runId);
    for (const known of jobs.filter(({ state }) => state === 'open')) await giveUpOpen(connection, known);
    const run = this.#openRun(hold, await asLoaded(connection, hold, record, jobs), jobs[0]?.carried ?? {});
    run.adopt(jobs);
    this.#run = run;
    if (send) await this.#sendAgain(run, () => true);
    await run.endIfSettled();
  }

  /** Sends unsettled jobs that nobody has in hand on their way once more. */
  async #sendAgain(run: Run, which: (known: LedgerJob) => boolean): Promise<void> {
    const { connection, onJob } = this.#options;
    for (const known of await this.#ledger.jobsOfRun(run.id)) {
      if (!isUnsettled(known) || connection.inHand.has(known.job.id) || !which(known)) continue;
      const job = await confirmClose(connection, known);
      run.unpark(job.id);
      connection.log.info(`Load "${this.loadName}": job ${job.id} is carried on.`);
      onJob(job, known.carried);
    }
  }

  async #parked(jobId: string, reason: string, again: boolean): Promise<void> {
    await this.#inTurn(async () => {
      const run = this.#run;
      if (!run?.unsettled.some(({ id }) => id === jobId)) return;
      run.park(jobId, reason);
      if (again) {
        if (this.#options.canSend()) await this.#sendAgain(run, ({ job }) => job.id === jobId);
        return;
      }
      const waiting = run.unsettled.some(({ id }) => !run.parked.has(id));
      if (run.state !== 'loaded' || waiting) return;
      this.#run = undefined;
      await run.hold.release();
    });
  }

  #openRun(hold: LoadHold, record: LedgerRun, carried: Record<string, unknown>): Run {
    const { connection, onJob, onReceipt } = this.#options;
    let before: Promise<unknown> = Promise.resolve();
    const run: Run = new Run({
      ledger: this.#ledger,
      hold,
      record,
      openWriter: (spec, onFile) => this.#openWriter(spec, onFile),
      openUploader: () =>
        new Uploader({
          ingest: connection.ingest,
          ledger: this.#ledger,
          hold,
          meters: connection.meters,
          clock: connection.clock,
          runId: record.runId,
          carried,
          outageMs: this.#options.outageMs,
          beforeClose: async () => {
            await before;
          },
          onClosing: (job) => run.closing(job),
          onWastedCalls: (calls) => run.noteWastedCalls(calls),
        }),
      onJob: (job) => {
        onJob(job, carried);
        if (this.#options.mode === 'serial') before = this.#untilFinal(job, hold.signal);
      },
      onEnded: async (receipt) => {
        if (this.#run === run) this.#run = undefined;
        onReceipt(receipt, carried);
        await hold.release();
      },
    });
    hold.signal.addEventListener('abort', () => this.#lost(run, hold), { once: true });
    return run;
  }

  /** Another process holds the load now, and carries its jobs on. */
  #lost(run: Run, hold: LoadHold): void {
    if (this.#run === run) this.#run = undefined;
    this.#options.connection.log.warn(`Load "${this.loadName}": ${reasonOf(hold.signal.reason)}`);
    this.#background(run.breakOff(hold.signal.reason));
  }

  async #openWriter(spec: JobSpec, onFile: (file: JobFile) => void): Promise<JobFileWriter> {
    const { connection, mapping, nulls, maxRecordsPerJob, maxBytesPerJob, maxFiles, mode } = this.#options;
    const limit = maxRecordsPerJob === 0 ? Number.POSITIVE_INFINITY : maxRecordsPerJob;
    return new JobFileWriter({
      scratch: await connection.scratch(),
      spec,
      mapping,
      nulls,
      maxRecordsPerJob: mode === 'serial' ? Math.min(limit, SERIAL_RECORDS_PER_JOB) : limit,
      maxBytesPerJob,
      maxFiles,
      onFile,
    });
  }

  /** A job that is gone or cannot be watched is no reason to hold the next one back for ever. */
  async #untilFinal(job: Job, signal: AbortSignal): Promise<void> {
    if (isFinal(job.state)) return;
    const options = { intervalMs: 1000, maxIntervalMs: 60_000, timeoutMs: 0, stallTimeoutMs: 0, signal };
    await this.#options.connection.watcher.watch(job, options).catch((error) => {
      this.#options.connection.log.warn(`Serial load "${this.loadName}": ${reasonOf(error)}`);
    });
  }

  /** One thing at a time: a trigger, a take-over and a parked job never see each other's half-done work. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #background(work: Promise<unknown> | undefined): void {
    work?.catch((error) => this.#options.connection.log.error(`Load "${this.loadName}": ${reasonOf(error)}`));
  }
}

function named(jobs: readonly Job[]): string {
  return jobs.length === 1 ? `job ${jobs[0]?.id}` : `jobs ${jobs.map(({ id }) => id).join(', ')}`;
}

function unsettledError(loadName: string, jobs: readonly Job[]): LoadError {
  return new LoadError(
    'LOAD_UNSETTLED',
    `Load "${loadName}" takes no new rows before its last run is settled: ${named(jobs)} ${jobs.length === 1 ? 'was' : 'were'} ` +
      'sent again, to be polled and read to the end. Start the load again when that is done; a job whose results are gone ' +
      'is ended with a message {"abandon": "<job id>"} to the create node.',
  );
}
