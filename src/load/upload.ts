import { type Clock, systemClock } from '../clock.ts';
import type { JobLedger, LoadHold } from '../database/ledger/job-ledger.ts';
import { LoadError, reasonOf } from '../errors.ts';
import type { Job, JobSpec } from '../job.ts';
import type { CallMeter } from '../salesforce/call.ts';
import type { IngestApi, JobInfo } from '../salesforce/ingest.ts';
import { DoubtfulOutcome } from '../salesforce/outcome.ts';
import { withGrace, within } from '../time-limit.ts';
import type { CallMeters } from './call-meters.ts';
import type { JobFile } from './job-files.ts';
import { jobFromInfo } from './job-info.ts';
import { keptMessage } from './kept-message.ts';
import type { FileClaims } from './run-claims.ts';

export interface UploaderOptions {
  ingest: IngestApi;
  ledger: JobLedger;
  hold: LoadHold;
  meters: CallMeters;
  clock: Clock;
  runId: string;
  /** What the run's first message carried; kept with every job. */
  carried: Record<string, unknown>;
  /** How long doubtful uploads of one file are repeated, in milliseconds from the first one's failure. */
  outageMs: number;
  /** Waits until the next job may be closed; serial loads wait here for the job before. */
  beforeClose: (signal: AbortSignal) => Promise<void>;
  /** The job is beyond recall: from here on it counts as closed. */
  onClosing: (job: Job) => void;
  /** Aborted when the load is closed. */
  closing: AbortSignal;
  /**
   * A job may be `open` in the ledger, or `closing` without being closed: one that could not be aborted any more, or of which
   * the ledger could not be told. Whoever takes the run over looks after it.
   */
  onLeftOpen: () => void;
  /** Calls that were made for a job that came to nothing. */
  onWastedCalls: (calls: number) => void;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** However long they take: a slow line may need longer for one upload than an outage is waited for. */
const LEAST_TRIES = 3;
/**
 * By the machine's clock, as Node-RED counts: a redeploy has ten seconds in all. An abort that takes longer leaves an Open
 * job, which never runs.
 */
const FAREWELL_MS = 4000;

/**
 * Brings one scratch file into one closed ingest job, in the order of writes that lets nothing be loaded twice (design
 * §7.2 to 7.4): create, ledger, upload, `closing` in the ledger, close, `closed` in the ledger.
 */
export class Uploader {
  readonly #options: UploaderOptions;

  constructor(options: UploaderOptions) {
    this.#options = options;
  }

  /**
   * @throws LoadError or SalesforceRefusal when the file is in no closed job, unless `onClosing` was called: then the job
   *   counts as closed, is parked, and its results tell
   */
  async upload(
    file: JobFile,
    spec: JobSpec,
    index: number,
    claims: FileClaims,
    signal: AbortSignal,
  ): Promise<Job> {
    const { clock, outageMs } = this.#options;
    let doubtSince: number | undefined;
    for (let tries = 1, pause = FIRST_PAUSE_MS; ; tries += 1) {
      const meter: CallMeter = { calls: 0 };
      const job = await this.#create(file, spec, index, meter, signal);
      try {
        await this.#record(job, claims);
        await this.#options.ingest.upload(job.id, file.path, { meter, signal });
        await this.#options.beforeClose(signal);
      } catch (error) {
        await this.#discard(job, error);
        doubtSince ??= clock.now();
        const isLate = tries >= LEAST_TRIES && clock.now() + pause >= doubtSince + outageMs;
        if (!(error instanceof DoubtfulOutcome) || isLate) throw asLoadError(job, error);
        await clock.sleep(pause, signal);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
        continue;
      }
      return this.#close(job, meter, signal);
    }
  }

  async #create(
    file: JobFile,
    spec: JobSpec,
    index: number,
    meter: CallMeter,
    signal: AbortSignal,
  ): Promise<Job> {
    const info = await this.#createIn(spec, meter, signal);
    this.#options.meters.adopt(info.id, meter);
    const { columns, records, bytes } = file;
    const job = jobFromInfo(info, { runId: this.#options.runId, index, columns, records, bytes });
    // Of an insert Salesforce keeps no external id; here it serves the look-up of doubtful retries.
    return { ...job, externalIdField: spec.externalIdField };
  }

  async #createIn(spec: JobSpec, meter: CallMeter, signal: AbortSignal): Promise<JobInfo> {
    try {
      return await this.#options.ingest.create(spec, { meter, signal });
    } catch (error) {
      this.#options.onWastedCalls(meter.calls);
      throw error;
    }
  }

  async #record(job: Job, claims: FileClaims): Promise<void> {
    const { ledger, hold, runId, carried } = this.#options;
    await ledger.addJob(hold, { job, runId, carried: keptMessage(carried), ...claims });
  }

  /** Never `closing`, so it never ran: aborting it, or leaving it Open where even that fails, loses and doubles nothing. */
  async #discard(job: Job, error: unknown): Promise<void> {
    const { ingest, ledger, meters, closing, onLeftOpen } = this.#options;
    const meter = meters.of(job.id);
    const isAborted = await within(systemClock, FAREWELL_MS, (signal) =>
      ingest.abort(job.id, { meter, signal }),
    ).then(
      () => true,
      () => false,
    );
    this.#forget(job, meter);
    if (!isAborted && closing.aborted) onLeftOpen();
    // Why it is given up weighs more than that this could not be written down.
    else await ledger.discardJob(job.id, reasonOf(error)).catch(onLeftOpen);
  }

  /** Its calls are in no receipt of a job. */
  #forget(job: Job, meter: CallMeter): void {
    this.#options.meters.forget(job.id);
    this.#options.onWastedCalls(meter.calls);
  }

  async #close(job: Job, meter: CallMeter, signal: AbortSignal): Promise<Job> {
    const { ingest, ledger, onClosing } = this.#options;
    await this.#markClosing(job, meter);
    onClosing(job);
    try {
      // A close that is under way is better finished than left in doubt.
      const info = await withGrace(systemClock, signal, FAREWELL_MS, (late) =>
        ingest.close(job.id, { meter, signal: late }),
      );
      const closed = jobFromInfo(info, job);
      await ledger.markClosed(job.id, closed);
      return closed;
    } catch (error) {
      await ledger.parkJob(job.id, `its close was not confirmed: ${reasonOf(error)}`);
      throw asUnconfirmed(job, error);
    }
  }

  /** Where the ledger does not answer the job may be `closing` there all the same, so it is not discarded either. */
  async #markClosing(job: Job, meter: CallMeter): Promise<void> {
    const { ledger, hold, onLeftOpen } = this.#options;
    const isOurs = await ledger.markClosing(hold, job.id).catch((error) => {
      this.#forget(job, meter);
      onLeftOpen();
      throw error;
    });
    if (isOurs) return;
    const lost = takenOver(job, hold);
    await this.#discard(job, lost);
    throw lost;
  }
}

function takenOver(job: Job, { load }: LoadHold): LoadError {
  return new LoadError(
    'LOAD_BROKEN_OFF',
    `Another process took over load "${load.loadName}"; job ${job.id} was not closed here and its rows stay READY.`,
  );
}

function asLoadError(job: Job, error: unknown): unknown {
  if (!(error instanceof DoubtfulOutcome)) return error;
  return new LoadError(
    'SF_REQUEST_FAILED',
    `The upload of ${job.records} records to Salesforce kept failing (${reasonOf(error)}). Nothing of it was loaded; its ` +
      'rows stay READY and go with the next run.',
    { cause: error },
  );
}

function asUnconfirmed(job: Job, error: unknown): unknown {
  if (!(error instanceof DoubtfulOutcome)) return error;
  return new LoadError(
    'SF_REQUEST_FAILED',
    `Salesforce did not confirm that job ${job.id} (${job.records} records) is closed (${reasonOf(error)}). It counts as ` +
      'closed: the next start of the load looks how it stands, and reads its results.',
    { cause: error },
  );
}
