import type { JobLedger, LedgerJob, LedgerRun, LoadHold, RunState } from '../database/ledger/job-ledger.ts';
import { LoadError } from '../errors.ts';
import type { Job, JobSpec } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import type { SourceRecord } from '../record.ts';
import { claims } from './claims.ts';
import type { CsvSource, JobFile, JobFileWriter, Rejected } from './job-files.ts';
import { sumReceipts } from './receipts.ts';
import type { Uploader } from './upload.ts';

/** What became of a closed job, as its run sees it. */
type JobEnd = { job: Job; receipt: Receipt | undefined };

export interface RunOptions {
  ledger: JobLedger;
  hold: LoadHold;
  record: LedgerRun;
  /** A writer of scratch files for jobs of one kind; it hands each finished file to `onFile`. */
  openWriter: (spec: JobSpec, onFile: (file: JobFile) => void) => Promise<JobFileWriter>;
  openUploader: (run: Run) => Uploader;
  /** A job is closed, or as good as closed: its message goes out. */
  onJob: (job: Job) => void;
  /** The last job is settled and the ledger knows the run as ended. */
  onEnded: (receipt: Receipt) => Promise<void>;
}

interface QueuedFile {
  file: JobFile;
  spec: JobSpec;
  claimIds: string[];
}

/**
 * One pass of a load: rows go into scratch files, files into closed jobs, one uploading while the next is written; then it
 * waits until every job is settled. Its states are those of the ledger (`RunState`).
 */
export class Run {
  readonly id: string;
  readonly #options: RunOptions;
  readonly #jobs = new Map<string, JobEnd>();
  readonly #parked = new Map<string, string>();
  readonly #queue: QueuedFile[] = [];
  readonly #allClaims = new Set<string>();
  readonly #stop = new AbortController();
  readonly #allLoaded = Promise.withResolvers<void>();
  #writer: { spec: JobSpec; files: JobFileWriter } | undefined;
  #claims = new Set<string>();
  #uploading: Promise<void> = Promise.resolve();
  #failure: unknown;
  #rejected = 0;
  #index = 0;
  #state: RunState;
  #ending: Promise<void> = Promise.resolve();
  #complete = true;
  #spec: JobSpec | undefined;
  #wasted = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.id = options.record.runId;
    this.#state = options.record.state;
    this.#complete = options.record.complete;
    this.#rejected = options.record.rejected;
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

  /** Resolves when an end that has begun is written down. */
  get ending(): Promise<void> {
    return this.#ending;
  }

  get hold(): LoadHold {
    return this.#options.hold;
  }

  /** Of the closed jobs and of those that were rejected: rows of a discarded file count as never received. */
  get counts(): { received: number; rejected: number; uploaded: number } {
    let uploaded = 0;
    for (const { job } of this.#jobs.values()) uploaded += job.records;
    return { received: this.#rejected + uploaded, rejected: this.#rejected, uploaded };
  }

  /** Jobs that are closed and neither settled nor abandoned. */
  get unsettled(): Job[] {
    return [...this.#jobs.values()].filter(({ receipt }) => !receipt).map(({ job }) => job);
  }

  /** Unsettled jobs that stopped, and why. */
  get parked(): ReadonlyMap<string, string> {
    return this.#parked;
  }

  /** Takes jobs over from an earlier process. */
  adopt(jobs: readonly LedgerJob[]): void {
    for (const { job, receipt, state, claimIds } of jobs) {
      if (state === 'open' || state === 'discarded') continue;
      this.#jobs.set(job.id, { job, receipt: receipt ?? undefined });
      for (const claimId of claimIds) this.#claim(claimId);
      this.#index = Math.max(this.#index, job.index + 1);
    }
  }

  /**
   * Writes a batch to scratch; waits while too many files are waiting for their upload. Records that Salesforce cannot
   * take come back.
   *
   * @throws whatever broke the run off
   */
  async write(records: SourceRecord[], spec: JobSpec, claimId: string | undefined): Promise<Rejected[]> {
    const files = await this.#filesFor(spec);
    if (claimId !== undefined) this.#claim(claimId);
    const rejected = await this.#guard(files.write(records, this.#stop.signal));
    if (claimId !== undefined) this.#claims = new Set([claimId]);
    this.#rejected += rejected.length;
    return rejected;
  }

  async writeCsv(source: CsvSource, spec: JobSpec): Promise<Rejected[]> {
    const files = await this.#filesFor(spec);
    const rejected = await this.#guard(files.writeCsv(source, this.#stop.signal));
    this.#rejected += rejected.length;
    return rejected;
  }

  /** Every row has arrived: resolves when all of them are in closed jobs. */
  async finish(): Promise<void> {
    await this.#guard(this.#writer?.files.finish(this.#stop.signal) ?? Promise.resolve());
    await this.#guard(this.#uploading);
    this.#throwIfBroken();
    await this.#loaded(true);
  }

  /** Closed jobs go on; the file being written, the files that wait and the job being uploaded are given up. */
  async breakOff(reason: unknown): Promise<void> {
    if (this.#state !== 'loading') return;
    this.#fail(reason);
    await this.#uploading.catch(() => {});
    await this.#dropFiles();
    await this.#loaded(false);
  }

  /** Called by the uploader at the point of no return: until its close is confirmed, the job is parked. */
  closing(job: Job): void {
    this.#jobs.set(job.id, { job, receipt: undefined });
    this.#parked.set(job.id, 'its close was not confirmed');
  }

  /** API calls that belong to no closed job. */
  noteWastedCalls(calls: number): void {
    this.#wasted += calls;
  }

  park(jobId: string, reason: string): void {
    if (this.#jobs.has(jobId)) this.#parked.set(jobId, reason);
  }

  unpark(jobId: string): void {
    this.#parked.delete(jobId);
  }

  async settle(job: Job, receipt: Receipt): Promise<void> {
    const known = this.#jobs.get(job.id);
    if (!known || known.receipt) return;
    this.#jobs.set(job.id, { job, receipt });
    this.#parked.delete(job.id);
    await this.endIfSettled();
  }

  /** Ends the run when nothing is left of it. */
  async endIfSettled(): Promise<void> {
    if (this.#state !== 'loaded' || this.unsettled.length > 0) return;
    this.#state = 'ended';
    this.#ending = this.#end();
    await this.#ending;
  }

  async #end(): Promise<void> {
    try {
      const receipt = await this.#receipt();
      await this.#options.ledger.endRun(this.hold, this.id, receipt);
      for (const claimId of this.#allClaims) await this.#endClaim(claimId);
      await this.#options.onEnded(receipt);
    } catch (error) {
      this.#state = 'loaded';
      throw error;
    }
  }

  #claim(claimId: string): void {
    this.#claims.add(claimId);
    this.#allClaims.add(claimId);
    claims.begin(claimId);
  }

  /** Of a run that took all its rows, every record of a claim is in a settled job or was rejected. */
  async #endClaim(claimId: string): Promise<void> {
    const state = this.#complete ? 'settled' : await this.#options.ledger.claimState(claimId);
    if (state === 'loading') claims.forget(claimId);
    else claims.end(claimId, state === 'settled' ? 'settled' : 'released');
  }

  async #filesFor(spec: JobSpec): Promise<JobFileWriter> {
    this.#throwIfBroken();
    this.#spec ??= spec;
    if (this.#writer && sameSpec(this.#writer.spec, spec)) return this.#writer.files;
    await this.#guard(this.#writer?.files.finish(this.#stop.signal) ?? Promise.resolve());
    const files = await this.#guard(this.#options.openWriter(spec, (file) => this.#enqueue(file, spec)));
    this.#writer = { spec, files };
    return files;
  }

  #enqueue(file: JobFile, spec: JobSpec): void {
    this.#queue.push({ file, spec, claimIds: [...this.#claims] });
    if (this.#queue.length === 1) this.#uploading = this.#uploading.then(() => this.#uploadQueue());
    // A failure reaches whoever writes next, or finishes; nothing is lost by not listening here.
    this.#uploading.catch(() => {});
  }

  async #uploadQueue(): Promise<void> {
    const uploader = this.#options.openUploader(this);
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      try {
        this.#stop.signal.throwIfAborted();
        this.#options.onJob(await this.#upload(uploader, next));
      } catch (error) {
        this.#fail(error);
        throw error;
      } finally {
        await next.file.remove();
      }
      this.#queue.shift();
    }
  }

  async #upload(uploader: Uploader, { file, spec, claimIds }: QueuedFile): Promise<Job> {
    const index = this.#index;
    this.#index += 1;
    const job = await uploader.upload(
      file,
      spec,
      index,
      claimIds,
      AbortSignal.any([this.#stop.signal, this.hold.signal]),
    );
    this.#jobs.set(job.id, { job, receipt: undefined });
    this.#parked.delete(job.id);
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
    if (this.#state !== 'loading')
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

  async #dropFiles(): Promise<void> {
    await this.#writer?.files.discard();
    for (const { file } of this.#queue.splice(0)) await file.remove();
  }

  async #loaded(complete: boolean): Promise<void> {
    this.#state = 'loaded';
    this.#complete = complete;
    const { received, rejected } = this.counts;
    await this.#options.ledger.runLoaded(this.hold, this.id, { received, rejected, complete });
    this.#allLoaded.resolve();
    await this.endIfSettled();
  }

  async #receipt(): Promise<Receipt> {
    const { ledger, record } = this.#options;
    const receipts = [...this.#jobs.values()].flatMap(({ receipt }) => receipt ?? []);
    return sumReceipts(receipts, {
      runId: this.id,
      loadName: record.load.loadName,
      spec: this.#spec,
      ...this.counts,
      complete: this.#complete,
      startedAt: record.startedAt.toISOString(),
      finishedAt: (await ledger.now()).toISOString(),
      otherApiCalls: this.#wasted,
    });
  }
}

function sameSpec(a: JobSpec, b: JobSpec): boolean {
  return (
    a.object === b.object &&
    a.operation === b.operation &&
    a.externalIdField === b.externalIdField &&
    a.columnDelimiter === b.columnDelimiter &&
    a.lineEnding === b.lineEnding &&
    a.assignmentRuleId === b.assignmentRuleId
  );
}
