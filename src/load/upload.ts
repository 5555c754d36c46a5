import type { Clock } from '../clock.ts';
import type { JobLedger, LoadHold } from '../database/ledger/job-ledger.ts';
import { LoadError, reasonOf } from '../errors.ts';
import type { Job, JobSpec } from '../job.ts';
import type { CallMeter } from '../salesforce/call.ts';
import type { IngestApi } from '../salesforce/ingest.ts';
import { DoubtfulOutcome } from '../salesforce/outcome.ts';
import type { CallMeters } from './call-meters.ts';
import type { JobFile } from './job-files.ts';
import { jobFromInfo } from './job-info.ts';
import { keptMessage } from './kept-message.ts';

export interface UploaderOptions {
  ingest: IngestApi;
  ledger: JobLedger;
  hold: LoadHold;
  meters: CallMeters;
  clock: Clock;
  runId: string;
  /** What the run's first message carried; kept with every job. */
  carried: Record<string, unknown>;
  /** How long doubtful uploads of one file are repeated, in milliseconds. */
  outageMs: number;
  /** Waits until the next job may be closed; serial loads wait here for the job before. */
  beforeClose: (signal: AbortSignal) => Promise<void>;
  /** The job is beyond recall: from here on it counts as closed. */
  onClosing: (job: Job) => void;
  /** Calls that were made for a job that came to nothing. */
  onWastedCalls: (calls: number) => void;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** A redeploy has ten seconds in all; an abort that takes longer leaves an Open job, which never runs. */
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
    claimIds: string[],
    signal: AbortSignal,
  ): Promise<Job> {
    const { clock, outageMs } = this.#options;
    const giveUpAt = clock.now() + outageMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const meter: CallMeter = { calls: 0 };
      const job = await this.#create(file, spec, index, meter, signal);
      try {
        await this.#record(job, claimIds);
        await this.#options.ingest.upload(job.id, file.path, { meter, signal });
        await this.#options.beforeClose(signal);
      } catch (error) {
        await this.#discard(job, error);
        if (!(error instanceof DoubtfulOutcome) || clock.now() + pause >= giveUpAt)
          throw asLoadError(job, error);
        await clock.sleep(pause, signal);
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
    const info = await this.#options.ingest.create(spec, { meter, signal });
    this.#options.meters.adopt(info.id, meter);
    const { columns, records, bytes } = file;
    const job = jobFromInfo(info, { runId: this.#options.runId, index, columns, records, bytes });
    // Of an insert Salesforce keeps no external id; here it serves the look-up of doubtful retries.
    return { ...job, externalIdField: spec.externalIdField };
  }

  async #record(job: Job, claimIds: string[]): Promise<void> {
    const { ledger, hold, runId, carried } = this.#options;
    await ledger.addJob(hold, { job, runId, carried: keptMessage(carried), claimIds });
  }

  /** Never `closing`, so it never ran: aborting it, or leaving it Open where even that fails, loses and doubles nothing. */
  async #discard(job: Job, error: unknown): Promise<void> {
    const { ingest, ledger, meters, onWastedCalls } = this.#options;
    const meter = meters.of(job.id);
    await ingest.abort(job.id, { meter, signal: AbortSignal.timeout(FAREWELL_MS) }).catch(() => {});
    meters.forget(job.id);
    onWastedCalls(meter.calls);
    await ledger.discardJob(job.id, reasonOf(error));
  }

  async #close(job: Job, meter: CallMeter, signal: AbortSignal): Promise<Job> {
    const { ingest, ledger, hold, onClosing } = this.#options;
    if (!(await ledger.markClosing(hold, job.id))) {
      const lost = new LoadError(
        'LOAD_BROKEN_OFF',
        `Another process took over load "${hold.load.loadName}"; job ${job.id} was not closed here and its rows stay READY.`,
      );
      await this.#discard(job, lost);
      throw lost;
    }
    onClosing(job);
    try {
      const info = await ingest.close(job.id, { meter, signal: withGrace(signal, FAREWELL_MS) });
      const closed = jobFromInfo(info, job);
      await ledger.markClosed(job.id, closed);
      return closed;
    } catch (error) {
      await ledger.parkJob(job.id, `its close was not confirmed: ${reasonOf(error)}`);
      throw error;
    }
  }
}

/** Aborted `ms` after `signal` is: a close that is under way is better finished than left in doubt. */
function withGrace(signal: AbortSignal, ms: number): AbortSignal {
  const late = new AbortController();
  const begin = () => setTimeout(() => late.abort(signal.reason), ms).unref();
  if (signal.aborted) begin();
  signal.addEventListener('abort', begin, { once: true });
  return late.signal;
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
