import { randomUUID } from 'node:crypto';
import { isUnsettled, type LedgerJob, type LedgerRun, type LoadHold } from '../database/ledger/job-ledger.ts';
import { reasonOf } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import { alreadyRunning, named, nothingToAbandon, stopped, unsettled } from './load-errors.ts';
import { LoadHolds } from './load-holds.ts';
import type { LoadOptions } from './load-options.ts';
import { openRun } from './open-run.ts';
import type { Run } from './run.ts';
import type { RunningLoad } from './running-loads.ts';
import { abandonedReceipt, asLoaded, confirmClose, giveUpOpen, jobsNow } from './take-over.ts';

export interface RunStart {
  /** When the sequence was opened, by this machine's clock; undefined for rows that no tracked sender read. */
  openedAt: number | undefined;
  /** What the first message carries: its jobs and its receipt leave on it. */
  carried: Record<string, unknown>;
}

/**
 * What one `sf-bulk-create` does, night after night: one run at a time in all processes, jobs of an unfinished run carried
 * on before new rows are taken (design §7.1, 7.8).
 */
export class Load implements RunningLoad {
  readonly loadName: string;
  readonly #options: LoadOptions;
  readonly #closing = new AbortController();
  readonly #holds: LoadHolds;
  #run: Run | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #isStandingIn = false;
  readonly #onSettled = (job: Job, receipt: Receipt): void => this.#background(this.#settled(job, receipt));
  readonly #onParked = (jobId: string, again: boolean): void => this.#background(this.#parked(jobId, again));

  constructor(options: LoadOptions) {
    this.#options = options;
    this.loadName = options.loadName;
    this.#holds = new LoadHolds(options, this.#closing.signal);
    options.connection.loads.register(this);
    options.connection.events.on('settled', this.#onSettled);
    options.connection.events.on('parked', this.#onParked);
  }

  get hold(): LoadHold | undefined {
    return this.#run?.hold;
  }

  /** Jobs of the run that are not settled, parked ones included. */
  get unsettled(): Job[] {
    return this.#run?.unsettled ?? [];
  }

  /**
   * Carries on what an earlier process, or an earlier deploy, left unfinished: its open jobs are given up, its closed jobs
   * sent again. Does nothing when nothing is left, or when another process is at it.
   */
  start(): Promise<void> {
    return this.#unlessClosed(async () => {
      if (this.#closing.signal.aborted) return;
      if (this.#run) await this.#sendAgain(this.#run);
      else await this.#takeOverIfFree();
    });
  }

  /**
   * Takes the load over when the process that ran it is gone: for a second Node-RED with the same flow. Jobs that were
   * parked wait for a start or a trigger. While one is at it, another returns at once: where the ledger or Salesforce is
   * away for long, a trigger waits for one of them, not for all that were due meanwhile.
   */
  async standIn(): Promise<void> {
    if (this.#isStandingIn) return;
    this.#isStandingIn = true;
    try {
      await this.#unlessClosed(() => this.#standIn());
    } finally {
      this.#isStandingIn = false;
    }
  }

  /**
   * Begins a pass. Until it has ended, no other begins, in this process or another.
   *
   * @throws LoadError LOAD_ALREADY_RUNNING, LOAD_UNSETTLED (parked jobs were sent again), LOAD_STALE
   */
  beginRun(start: RunStart): Promise<Run> {
    return this.#inTurn(async () => {
      this.#closing.signal.throwIfAborted();
      await this.#run?.endIfSettled();
      if (this.#run) await this.#refuseSecondRun(this.#run);
      const hold = await this.#acquireSettled();
      try {
        await this.#holds.refuseStale(start.openedAt);
        const record = await this.#ledger.beginRun(hold, randomUUID());
        this.#background(this.#ledger.prune(hold.load, this.#options.connection.retentionDays));
        return this.#openRun(hold, record, start.carried);
      } catch (error) {
        await hold.release();
        throw error;
      }
    });
  }

  /** Somebody works on one of this load's jobs again; what parked it is over. */
  carryOn(known: LedgerJob): Promise<void> {
    return this.#inTurn(async () => {
      await this.#holdRunOf(known);
      if (known.parkedReason !== null) await this.#ledger.unparkJob(known.job.id);
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
      if (!known || known.load.loadName !== this.loadName || !isUnsettled(known))
        throw nothingToAbandon(this.loadName, jobId);
      await this.#holdRunOf(known);
      const receipt = abandonedReceipt(known, (await this.#ledger.now()).toISOString());
      if (!(await this.#ledger.abandonJob(jobId, by, reason, receipt))) {
        // Settled just now, after all: its receipt is the true one.
        if (this.#run) await this.#catchUp(this.#run);
        await this.#letGoIfStopped();
        throw nothingToAbandon(this.loadName, jobId);
      }
      this.#options.connection.log.warn(
        `Job ${jobId} of load "${this.loadName}" was abandoned by ${by}: ${reason}`,
      );
      await this.#run?.settle(known.job, receipt);
      await this.#letGoIfStopped();
      return receipt;
    });
  }

  /**
   * Gives up what is being uploaded. What is not settled is carried on by the load's next node in this process
   * (`isSucceeded`: it is being deployed anew), or else by whoever takes it.
   */
  close(isSucceeded = false): Promise<void> {
    const reason = stopped(this.loadName);
    this.#closing.abort(reason);
    const { connection } = this.#options;
    connection.events.off('settled', this.#onSettled);
    connection.events.off('parked', this.#onParked);
    const closed = this.#inTurn(async () => {
      const run = this.#run;
      if (!run) return;
      try {
        await run.breakOff(reason);
        await run.endIfSettled();
      } finally {
        // Ended, when nothing was left of it.
        if (this.#run === run) await this.#letGo(run, isSucceeded);
      }
    });
    connection.loads.deregister(this, closed);
    return closed;
  }

  get #ledger() {
    return this.#options.connection.ledger;
  }

  async #standIn(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    if (this.#run) {
      await this.#catchUp(this.#run);
      if (this.#options.canSend()) await this.#letGoIfStopped();
      return;
    }
    if (!this.#ledger.durable) return;
    const jobs = await this.#ledger.unsettledJobs(await this.#holds.key());
    const onlyParked = jobs.length > 0 && jobs.every(({ parkedReason }) => parkedReason !== null);
    if (!onlyParked) await this.#takeOverIfFree();
  }

  /** Unless that is over: its last jobs may have been settled elsewhere. */
  async #refuseSecondRun(run: Run): Promise<void> {
    const inHand = run.unsettled.filter(({ id }) => this.#options.connection.inHand.has(id));
    if (run.state === 'loading') throw alreadyRunning(this.loadName, 'rows are being loaded');
    if (inHand.length > 0) throw alreadyRunning(this.loadName, named(inHand));
    await this.#sendAgain(run);
    await this.#letGoIfStopped();
    if (this.#run === run) throw unsettled(this.loadName, run.unsettled);
  }

  /** The hold of a load of which no run is unfinished; one without closed jobs is ended on the way. */
  async #acquireSettled(): Promise<LoadHold> {
    for (;;) {
      const hold = await this.#holds.acquire();
      const run = await this.#takeOver(hold, true);
      if (!run) return hold;
      if (run.state !== 'ended') throw unsettled(this.loadName, run.unsettled);
    }
  }

  /** The job is of the run that this process holds, or will be when this resolves. */
  async #holdRunOf(known: LedgerJob): Promise<void> {
    if (this.#run?.id === known.runId) return;
    const hold = await this.#holds.acquire();
    if (!(await this.#takeOver(hold, false))) await hold.release();
  }

  async #takeOverIfFree(): Promise<void> {
    if ((await this.#ledger.unfinishedRuns(await this.#holds.key())).length === 0) return;
    const hold = await this.#holds.acquireIfFree();
    if (hold && !(await this.#takeOver(hold, true))) await hold.release();
  }

  /**
   * Makes this process the one that carries the unfinished run on; of several, the oldest. Undefined: none is, and the
   * hold is the caller's. With any other outcome it is not: the run has it, or it is released.
   */
  async #takeOver(hold: LoadHold, send: boolean): Promise<Run | undefined> {
    const { connection } = this.#options;
    try {
      const [record] = await this.#ledger.unfinishedRuns(hold.load);
      if (!record) return undefined;
      const jobs = await this.#ledger.jobsOfRun(record.runId);
      for (const known of jobs.filter(({ state }) => state === 'open'))
        record.apiCalls += await giveUpOpen(connection, known, this.#closing.signal);
      const loaded = await asLoaded(connection, hold, record, jobs);
      const run = this.#openRun(hold, loaded, jobs[0]?.carried ?? {});
      run.adopt(jobs);
      if (send) await this.#sendAgain(run);
      await run.endIfSettled();
      return run;
    } catch (error) {
      await this.#run?.lost(error);
      this.#run = undefined;
      await hold.release();
      throw error;
    }
  }

  /**
   * Sends jobs that nobody has in hand on their way once more. While rows are still being loaded, a job that is `closing`
   * is the uploader's.
   */
  async #sendAgain(run: Run, which: (known: LedgerJob) => boolean = () => true): Promise<void> {
    const { connection, onJob } = this.#options;
    for (const known of await jobsNow(connection, run, this.#closing.signal)) {
      const isDue = run.state === 'loading' ? known.state === 'closed' : isUnsettled(known);
      if (!isDue || connection.inHand.has(known.job.id) || !which(known)) continue;
      const job = await confirmClose(connection, known, this.#closing.signal);
      run.unpark(job.id);
      connection.log.info(`Load "${this.loadName}": job ${job.id} is carried on.`);
      onJob(job, known.carried);
    }
  }

  /** Ends the run where its last job was settled elsewhere, or while the ledger was away. */
  async #catchUp(run: Run): Promise<void> {
    if (run.unsettled.length > 0) await jobsNow(this.#options.connection, run, this.#closing.signal);
    await run.endIfSettled();
  }

  #settled(job: Job, receipt: Receipt): Promise<void> {
    return this.#inTurn(async () => {
      await this.#run?.settle(job, receipt);
      await this.#letGoIfStopped();
    });
  }

  #parked(jobId: string, again: boolean): Promise<void> {
    return this.#unlessClosed(async () => {
      const run = this.#run;
      if (!run?.unsettled.some(({ id }) => id === jobId)) return;
      run.park(jobId);
      if (!again) await this.#letGoIfStopped();
      else if (this.#options.canSend()) await this.#sendAgain(run, ({ job }) => job.id === jobId);
    });
  }

  /** When nothing of a run goes on here, whoever is triggered next may carry it on. */
  async #letGoIfStopped(): Promise<void> {
    if (this.#run?.isStopped) await this.#letGo(this.#run);
  }

  async #letGo(run: Run, keepHold = false): Promise<void> {
    this.#run = undefined;
    const { meters, keptHolds } = this.#options.connection;
    const calls = run.unsettled.reduce((sum, { id }) => sum + meters.of(id).calls, 0);
    for (const { id } of run.unsettled) meters.forget(id);
    try {
      await run.letGo(calls);
    } finally {
      if (keepHold && !run.hold.signal.aborted) await keptHolds.keep(run.hold);
      else await run.hold.release();
    }
  }

  #openRun(hold: LoadHold, record: LedgerRun, carried: Record<string, unknown>): Run {
    const run = openRun(this.#options, {
      hold,
      record,
      carried,
      closing: this.#closing.signal,
      onLoaded: () => this.#background(this.#inTurn(() => this.#letGoIfStopped())),
      onEnded: async (receipt) => {
        if (this.#run === run) this.#run = undefined;
        this.#options.onReceipt(receipt, carried);
        await hold.release();
      },
    });
    this.#run = run;
    hold.signal.addEventListener('abort', () => this.#lost(run), { once: true });
    if (hold.signal.aborted) this.#lost(run);
    return run;
  }

  /** Another process holds the load now, and carries its jobs on. */
  #lost(run: Run): void {
    if (this.#run !== run) return;
    this.#run = undefined;
    const { reason } = run.hold.signal;
    this.#options.connection.log.warn(`Load "${this.loadName}": ${reasonOf(reason)}`);
    this.#background(run.lost(reason));
  }

  /** One thing at a time: a trigger, a take-over and a parked job never see each other's half-done work. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** For what nobody waits for: that the load closes in the middle of it is no news. */
  async #unlessClosed(work: () => Promise<void>): Promise<void> {
    try {
      await this.#inTurn(work);
    } catch (error) {
      if (error !== this.#closing.signal.reason) throw error;
    }
  }

  #background(work: Promise<unknown>): void {
    work.catch((error) => this.#options.connection.log.error(`Load "${this.loadName}": ${reasonOf(error)}`));
  }
}
