import type { JobLedger, LedgerJob, LedgerRun, LoadHold, RunState } from '../database/ledger/job-ledger.ts';
import { LoadError } from '../errors.ts';
import { type Job, type JobSpec, sameSpec } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import type { SourceRecord } from '../record.ts';
import type { SentClaim } from './claims.ts';
import type { CsvSource, JobFile, JobFileWriter, Rejected } from './job-files.ts';
import { sumReceipts } from './receipts.ts';
import type { RejectedGroup } from './rejected.ts';
import { RunClaims } from './run-claims.ts';
import { RunJobs } from './run-jobs.ts';
import type { Uploader } from './upload.ts';
import { type QueuedFile, UploadQueue } from './upload-queue.ts';

export interface RunOptions {
  ledger: JobLedger;
  hold: LoadHold;
  record: LedgerRun;
  /** A writer of scratch files for jobs of one kind; it hands each finished file to `onFile`. */
  openWriter: (spec: JobSpec, onFile: (file: JobFile) => void, signal: AbortSignal) => Promise<JobFileWriter>;
  uploader: Uploader;
  /** A job is closed, or as good as closed: its message goes out. */
  onJob: (job: Job) => void;
  /** No more rows are taken. */
  onLoaded: () => void;
  /** The last job is settled and the ledger knows the run as ended. */
  onEnded: (receipt: Receipt) => Promise<void>;
}

/**
 * One pass of a load: rows go into scratch files, files into closed jobs, one uploading while the next is written; then it
 * waits until every job is settled. Its states are those of the ledger (`RunState`).
 */
export class Run {
  readonly id: string;
  readonly #options: RunOptions;
  readonly #jobs = new RunJobs();
  readonly #queue: UploadQueue;
  readonly #claims: RunClaims;
  readonly #stop = new AbortController();
  readonly #allLoaded = Promise.withResolvers<void>();
  #writer: { spec: JobSpec; files: JobFileWriter } | undefined;
  #failure: unknown;
  #rejected: number;
  #state: RunState;
  /** The one end of `loading`, whether all rows came or not. */
  #loadingOver: Promise<void> | undefined;
  #ending: Promise<void> = Promise.resolve();
  #complete: boolean;
  #spec: JobSpec | undefined;
  #otherCalls: number;
  #hasLeftOpen = false;

  constructor(options: RunOptions) {
    const { ledger, record } = options;
    this.#options = options;
    this.#claims = new RunClaims(ledger);
    this.#queue = new UploadQueue((queued) => this.#uploadNext(queued));
    this.id = record.runId;
    this.#state = record.state;
    this.#complete = record.complete;
    this.#rejected = record.rejected;
    this.#otherCalls = record.apiCalls;
    // Nobody has to wait for it.
    this.#allLoaded.promise.catch(() => {});
  }

  /** Resolves when every row is in a closed job; rejects with what broke the run off. */
  get loaded(): Promise<void> {
    return this.#allLoaded.promise;
  }

  get state(): RunState {
    return this.#state;
  }

  get hold(): LoadHold {
    return this.#options.hold;
  }

  /** Of the closed jobs and of those that were rejected: rows of a discarded file count as never received. */
  get counts(): { received: number; rejected: number; uploaded: number } {
    const { uploaded } = this.#jobs;
    return { received: this.#rejected + uploaded, rejected: this.#rejected, uploaded };
  }

  /** Jobs that are closed and neither settled nor abandoned. */
  get unsettled(): Job[] {
    return this.#jobs.unsettled;
  }

  /** Nothing of it goes on here: all that is left of it is parked, or for whoever takes it over. */
  get isStopped(): boolean {
    const isForOthers = this.#hasLeftOpen && this.unsettled.length === 0;
    return this.#state === 'loaded' && (this.#jobs.areStopped || isForOthers);
  }

  /** Takes jobs over from an earlier process. */
  adopt(jobs: readonly LedgerJob[]): void {
    for (const known of jobs) {
      if (known.state === 'open' || known.state === 'discarded') continue;
      this.#jobs.adopt(known);
      this.#claims.adopt(known.claimIds);
    }
  }

  /**
   * Writes a batch to scratch; waits while too many files are waiting for their upload. Records that Salesforce cannot
   * take come back.
   *
   * @throws whatever broke the run off
   */
  async write(records: SourceRecord[], spec: JobSpec, claim: SentClaim | undefined): Promise<Rejected[]> {
    const files = await this.#filesFor(spec);
    this.#claims.write(claim);
    const rejected = await this.#guard(files.write(records, this.#stop.signal));
    this.#claims.written();
    this.#rejected += rejected.length;
    return rejected;
  }

  /**
   * The same with CSV text, of which rejected records go to `onRejected` as they come. It must be through with them before
   * the last row is loaded: what it rejects with breaks the run off.
   */
  async writeCsv(
    source: CsvSource,
    spec: JobSpec,
    onRejected: (group: RejectedGroup<Rejected>) => Promise<void>,
  ): Promise<void> {
    const files = await this.#filesFor(spec);
    const { signal } = this.#stop;
    const handOn = (rejected: Rejected[], isLast: boolean) => {
      const sent = () => {
        this.#rejected += rejected.length;
      };
      return onRejected({ rejected, isLast, sent, signal });
    };
    const write = async () => {
      const rest = await files.writeCsv(source, signal, (group) => handOn(group, false));
      signal.throwIfAborted();
      await handOn(rest, true);
    };
    await this.#guard(write());
  }

  /** Every row has arrived: resolves when all of them are in closed jobs. */
  async finish(): Promise<void> {
    this.#throwIfBroken();
    await this.#guard(this.#writer?.files.finish(this.#stop.signal) ?? Promise.resolve());
    await this.#guard(this.#queue.uploaded);
    this.#throwIfBroken();
    this.#loadingOver ??= this.#loaded(true);
    await this.#loadingOver;
  }

  /** Closed jobs go on; the file being written, the files that wait and the job being uploaded are given up. */
  async breakOff(reason: unknown): Promise<void> {
    if (this.#state !== 'loading') return;
    if (!this.#loadingOver) {
      this.#fail(reason);
      this.#loadingOver = this.#giveUp();
    }
    await this.#loadingOver;
  }

  /** It is another's: whoever holds it carries it on, and says what becomes of its claims. */
  async lost(reason: unknown): Promise<void> {
    try {
      await this.breakOff(reason);
    } finally {
      this.#claims.forget();
    }
  }

  /** Called by the uploader at the point of no return: until its close is confirmed, the job is parked. */
  closing(job: Job): void {
    this.#jobs.closing(job);
  }

  /** A job of it may be open still: the run ends with whoever takes it over and aborts that. */
  leaveOpen(): void {
    this.#hasLeftOpen = true;
  }

  /** API calls that no job's receipt counts. */
  noteOtherCalls(calls: number): void {
    this.#otherCalls += calls;
  }

  park(jobId: string): void {
    this.#jobs.park(jobId);
  }

  unpark(jobId: string): void {
    this.#jobs.unpark(jobId);
  }

  async settle(job: Job, receipt: Receipt): Promise<void> {
    if (this.#jobs.settle(job, receipt)) await this.endIfSettled();
  }

  /** Ends the run when nothing is left of it; resolves when that is written down. Without its hold another one ends it. */
  endIfSettled(): Promise<void> {
    const isOver = this.#state === 'loaded' && this.unsettled.length === 0 && !this.#hasLeftOpen;
    if (isOver && !this.hold.signal.aborted) {
      this.#state = 'ended';
      this.#ending = this.#end();
    }
    return this.#ending;
  }

  /** Another process, or another pass of this one, carries it on. `calls`: made for jobs that are not settled. */
  async letGo(calls: number): Promise<void> {
    this.#claims.forget();
    const more = this.#otherCalls - this.#options.record.apiCalls + calls;
    if (more > 0 && this.#state !== 'ended') await this.#options.ledger.addApiCalls(this.id, more);
  }

  async #end(): Promise<void> {
    const receipt = await this.#writeEnd().catch((error) => {
      this.#state = 'loaded';
      throw error;
    });
    // Of an abandoned job nobody knows what was loaded.
    await this.#claims.end(this.#complete && receipt.unaccounted === 0);
    await this.#options.onEnded(receipt);
  }

  async #writeEnd(): Promise<Receipt> {
    const receipt = await this.#receipt();
    await this.#options.ledger.endRun(this.hold, this.id, receipt);
    return receipt;
  }

  async #filesFor(spec: JobSpec): Promise<JobFileWriter> {
    this.#throwIfBroken();
    this.#spec ??= spec;
    if (this.#writer && sameSpec(this.#writer.spec, spec)) return this.#writer.files;
    await this.#guard(this.#writer?.files.finish(this.#stop.signal) ?? Promise.resolve());
    const onFile = (file: JobFile) => {
      const claims = this.#claims.ofFile(this.#writer?.files.taken ?? 0);
      this.#queue.add({ file, spec, claims });
    };
    const files = await this.#guard(this.#options.openWriter(spec, onFile, this.#stop.signal));
    this.#writer = { spec, files };
    return files;
  }

  async #uploadNext(queued: QueuedFile): Promise<void> {
    try {
      this.#stop.signal.throwIfAborted();
      this.#options.onJob(await this.#upload(queued));
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  async #upload({ file, spec, claims }: QueuedFile): Promise<Job> {
    const index = this.#jobs.takeIndex();
    const signal = AbortSignal.any([this.#stop.signal, this.hold.signal]);
    const job = await this.#options.uploader.upload(file, spec, index, claims, signal);
    this.#jobs.closed(job);
    return job;
  }

  #fail(reason: unknown): void {
    this.#failure ??= reason;
    this.#stop.abort(this.#failure);
    this.#allLoaded.reject(this.#failure);
  }

  #throwIfBroken(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.hold.signal.aborted) throw this.hold.signal.reason;
    if (this.#state !== 'loading' || this.#loadingOver)
      throw new LoadError('LOAD_BROKEN_OFF', `Run ${this.id} takes no more rows.`);
  }

  /** Whatever fails breaks the run off. */
  async #guard<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.#fail(error);
      throw this.#failure;
    }
  }

  async #giveUp(): Promise<void> {
    await this.#writer?.files.discard();
    await this.#queue.discard();
    await this.#loaded(false);
  }

  /** Rows that came are waited for no longer even where that cannot be written down: the end of the run will be. */
  async #loaded(complete: boolean): Promise<void> {
    this.#complete = complete;
    try {
      if (!this.hold.signal.aborted) await this.#noteLoaded(complete);
      if (complete) this.#allLoaded.resolve();
    } catch (error) {
      this.#allLoaded.reject(error);
      throw error;
    } finally {
      this.#state = 'loaded';
      this.#options.onLoaded();
    }
    await this.endIfSettled();
  }

  async #noteLoaded(complete: boolean): Promise<void> {
    const { received, rejected } = this.counts;
    await this.#options.ledger.runLoaded(this.hold, this.id, { received, rejected, complete });
  }

  async #receipt(): Promise<Receipt> {
    const { ledger, record } = this.#options;
    return sumReceipts(this.#jobs.receipts, {
      runId: this.id,
      loadName: record.load.loadName,
      spec: this.#spec,
      ...this.counts,
      complete: this.#complete,
      startedAt: record.startedAt.toISOString(),
      finishedAt: (await ledger.now()).toISOString(),
      otherApiCalls: this.#otherCalls,
    });
  }
}
