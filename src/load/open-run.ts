import type { LedgerRun, LoadHold } from '../database/ledger/job-ledger.ts';
import { reasonOf } from '../errors.ts';
import { isFinal, type Job, type JobSpec } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import { orAborted } from '../time-limit.ts';
import { checkColumns, fieldLengths } from './check-columns.ts';
import { type JobFile, JobFileWriter } from './job-files.ts';
import type { LoadOptions } from './load-options.ts';
import { Run } from './run.ts';
import { Uploader } from './upload.ts';

export interface RunParts {
  hold: LoadHold;
  record: LedgerRun;
  /** What the run's messages carry. */
  carried: Record<string, unknown>;
  /** Aborted when the load is closed. */
  closing: AbortSignal;
  onLoaded: () => void;
  onEnded: (receipt: Receipt) => Promise<void>;
}

/** Bulk API 2.0 cuts a job into batches of this size, which contend with each other (design §8). */
const SERIAL_RECORDS_PER_JOB = 10_000;

/** A run of a load with all it works with: writers of its files, uploads, and in a serial load the order of its jobs. */
export function openRun(load: LoadOptions, parts: RunParts): Run {
  const { connection, onJob, mode } = load;
  const { hold, record, carried } = parts;
  const over = AbortSignal.any([hold.signal, parts.closing]);
  let jobBefore: Promise<void> = Promise.resolve();
  const run: Run = new Run({
    ledger: connection.ledger,
    hold,
    record,
    openWriter: (spec, onFile, signal) => openWriter(load, run, spec, onFile, signal),
    uploader: new Uploader({
      ingest: connection.ingest,
      ledger: connection.ledger,
      hold,
      meters: connection.meters,
      clock: connection.clock,
      runId: record.runId,
      carried,
      outageMs: load.outageMs,
      beforeClose: (signal) => orAborted(signal, jobBefore),
      onClosing: (job) => run.closing(job),
      closing: parts.closing,
      onLeftOpen: () => run.leaveOpen(),
      onWastedCalls: (calls) => run.noteOtherCalls(calls),
    }),
    onJob: (job) => {
      onJob(job, carried);
      if (mode === 'serial') jobBefore = untilFinal(load, job, over);
    },
    onLoaded: parts.onLoaded,
    onEnded: parts.onEnded,
  });
  return run;
}

async function openWriter(
  load: LoadOptions,
  run: Run,
  spec: JobSpec,
  onFile: (file: JobFile) => void,
  signal: AbortSignal,
): Promise<JobFileWriter> {
  const { connection, mapping, nulls, maxRecordsPerJob, maxBytesPerJob, maxFiles, mode } = load;
  const meter = { calls: 0 };
  const object = await connection.describe
    .describe(spec.object, { meter, signal })
    .finally(() => run.noteOtherCalls(meter.calls));
  const limit = maxRecordsPerJob === 0 ? Number.POSITIVE_INFINITY : maxRecordsPerJob;
  return new JobFileWriter({
    scratch: await connection.scratch(),
    spec,
    mapping,
    nulls,
    maxRecordsPerJob: mode === 'serial' ? Math.min(limit, SERIAL_RECORDS_PER_JOB) : limit,
    maxBytesPerJob,
    maxFiles,
    fieldLengths: fieldLengths(object),
    onFile: async (file) => {
      try {
        checkColumns(object, spec, file.columns);
      } catch (error) {
        await file.remove();
        throw error;
      }
      onFile(file);
    },
  });
}

/** A job that is gone or cannot be watched is no reason to hold the next one back for ever. */
async function untilFinal(
  { connection, loadName }: LoadOptions,
  job: Job,
  signal: AbortSignal,
): Promise<void> {
  if (isFinal(job.state)) return;
  const options = { intervalMs: 1000, maxIntervalMs: 60_000, timeoutMs: 0, stallTimeoutMs: 0, signal };
  await connection.watcher.watch(job, options).catch((error) => {
    if (!signal.aborted) connection.log.warn(`Serial load "${loadName}": ${reasonOf(error)}`);
  });
}
