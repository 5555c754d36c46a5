import { stat } from 'node:fs/promises';
import { LoadError } from '../errors.ts';
import type { JobSpec } from '../job.ts';
import type { ApiRequest, CallOptions } from './call.ts';
import { hasCode } from './error-body.ts';
import { type JobInfo, parseJobInfo } from './job-info.ts';
import { isDoubtful, isRefusal, SalesforceRefusal } from './outcome.ts';
import type { SalesforceSession } from './session.ts';

export type { JobInfo } from './job-info.ts';

/** Spelt as the URIs spell them: the last one is all lower case (reference bulk-api-2.md §1). */
export const RESULT_KINDS = ['successfulResults', 'failedResults', 'unprocessedrecords'] as const;
export type ResultKind = (typeof RESULT_KINDS)[number];

const JOBS = '/jobs/ingest';

/** A 400 to a poll that nothing explains was seen to pass; one that stays is an error. */
const UNEXPECTED_400_TRIES = 3;
const UNEXPECTED_400_WAIT_MS = 1_000;

/** The ingest calls of Bulk API 2.0, each by the rules of design §7. */
export class IngestApi {
  readonly #session: SalesforceSession;

  constructor(session: SalesforceSession) {
    this.#session = session;
  }

  /**
   * A new Open job. A create whose answer is lost is simply made again: the first one, if there is one, stays empty and
   * Open, which harms nothing (design §7.5). `meter.orphans` counts it, and the log says it: nobody else would.
   */
  async create(spec: JobSpec, options: CallOptions = {}): Promise<JobInfo> {
    const what = `Create of an ingest job (${spec.operation} ${spec.object})`;
    const lostAt: Date[] = [];
    let made: JobInfo | undefined;
    try {
      const answer = await this.#session.call(
        {
          ...{ what, method: 'POST', path: JOBS, kind: 'safe', json: createBody(spec) },
          onDoubt: () => lostAt.push(this.#session.orgNow()),
        },
        options,
      );
      made = parseJobInfo(answer.body);
      return made;
    } finally {
      if (options.meter) options.meter.orphans = (options.meter.orphans ?? 0) + lostAt.length;
      if (lostAt.length > 0) this.#session.log.warn(orphansText(what, lostAt, made));
    }
  }

  /**
   * The job's one PUT: the whole file, streamed. DoubtfulOutcome: abort the job and send the file to a new one
   * (design §7.3); so too after an expired session, which has been renewed by then. SalesforceRefusal: the data was refused.
   */
  async upload(jobId: string, path: string, options: CallOptions = {}): Promise<void> {
    const { size } = await stat(path);
    await this.#call(jobId, options, {
      what: `Upload to job ${jobId}`,
      method: 'PUT',
      path: `${jobPath(jobId)}/batches`,
      kind: 'upload',
      file: { path, bytes: size },
      contentType: 'text/csv',
    });
  }

  /**
   * Tells Salesforce to start. When the answer is lost the job is read: any state but Open means that it took
   * (design §7.4), else the close is asked for again. The returned state is Salesforce's own, so it may also be final.
   */
  async close(jobId: string, options: CallOptions = {}): Promise<JobInfo> {
    const patience = this.#session.patience(options);
    for (;;) {
      try {
        return await this.#setState(jobId, 'UploadComplete', 'doubtful', options);
      } catch (error) {
        const job = await this.#afterUnclearChange(jobId, error, options);
        if (job.state !== 'Open') return job;
        if (isRefusal(error) || !(await patience.again('outage', options))) throw error;
      }
    }
  }

  /** Stops the job. One that had ended before stays as it is: the returned state tells. */
  async abort(jobId: string, options: CallOptions = {}): Promise<JobInfo> {
    try {
      return await this.#setState(jobId, 'Aborted', 'safe', options);
    } catch (error) {
      const job = await this.#afterUnclearChange(jobId, error, options);
      if (['Aborted', 'JobComplete', 'Failed'].includes(job.state)) return job;
      throw error;
    }
  }

  /** BULK_JOB_GONE when Salesforce no longer knows the job. */
  async info(jobId: string, options: CallOptions = {}): Promise<JobInfo> {
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await this.#call(jobId, options, {
          what: `Job ${jobId}`,
          method: 'GET',
          path: jobPath(jobId),
          kind: 'safe',
        });
        return parseJobInfo(answer.body);
      } catch (error) {
        if (!(isRefusal(error) && error.status === 400) || tries >= UNEXPECTED_400_TRIES) throw error;
        await this.#session.clock.sleep(UNEXPECTED_400_WAIT_MS, options.signal);
      }
    }
  }

  /**
   * One result file, streamed whole to `path`. No rows is a header, an empty body or 204 (reference §1.5): `bytes` may
   * be 0. BodyBrokenOff when the body did not end properly; a body that was cut cleanly can only be told by its rows.
   */
  async downloadResults(
    jobId: string,
    kind: ResultKind,
    path: string,
    sink: { onChunk?: (chunk: Buffer) => void } = {},
    options: CallOptions = {},
  ): Promise<{ bytes: number }> {
    const request: ApiRequest = {
      what: `${kind} of job ${jobId}`,
      method: 'GET',
      path: `${jobPath(jobId)}/${kind}`,
      kind: 'safe',
      accept: 'text/csv',
    };
    try {
      const { bytes } = await this.#session.download(
        request,
        { path, onChunk: sink.onChunk ?? (() => {}) },
        options,
      );
      return { bytes };
    } catch (error) {
      throw goneOr(jobId, error);
    }
  }

  async #setState(
    jobId: string,
    state: 'UploadComplete' | 'Aborted',
    kind: 'safe' | 'doubtful',
    options: CallOptions,
  ): Promise<JobInfo> {
    const answer = await this.#call(jobId, options, {
      what: `${state === 'Aborted' ? 'Abort' : 'Close'} of job ${jobId}`,
      method: 'PATCH',
      path: jobPath(jobId),
      kind,
      json: { state },
      isQuick: true,
    });
    return parseJobInfo(answer.body);
  }

  /** A lost answer, or "not in this state": perhaps the change was made before. Anything else is thrown on. */
  async #afterUnclearChange(jobId: string, error: unknown, options: CallOptions): Promise<JobInfo> {
    const isUnclear = isDoubtful(error) || (isRefusal(error) && error.status === 400);
    if (!isUnclear) throw error;
    options.signal?.throwIfAborted();
    return this.info(jobId, options);
  }

  async #call(jobId: string, options: CallOptions, request: ApiRequest) {
    try {
      return await this.#session.call(request, options);
    } catch (error) {
      throw goneOr(jobId, error);
    }
  }
}

function jobPath(jobId: string): string {
  if (!/^750\w{12}(?:\w{3})?$/.test(jobId)) {
    throw new LoadError(
      'CONFIG_INVALID',
      `not the id of an ingest job (15 or 18 characters, 750…): ${jobId}`,
    );
  }
  return `${JOBS}/${jobId}`;
}

/** Their ids came with the answers, so kind and time are all there is to find them by. */
function orphansText(what: string, lostAt: readonly Date[], made: JobInfo | undefined): string {
  const count = lostAt.length === 1 ? 'one more job' : `up to ${lostAt.length} more jobs`;
  const instead = made === undefined ? '' : `; job ${made.id} was made in its place`;
  return (
    `${what}: no answer at ${lostAt.map((at) => at.toISOString()).join(', ')}${instead}. There may be ${count} of that ` +
    'moment, Open and empty: it loads nothing, and can be aborted in Setup, Bulk Data Load Jobs'
  );
}

function createBody(spec: JobSpec): Record<string, string> {
  return {
    object: spec.object,
    operation: spec.operation,
    contentType: 'CSV',
    columnDelimiter: spec.columnDelimiter,
    lineEnding: spec.lineEnding,
    ...(spec.operation === 'upsert' && spec.externalIdField
      ? { externalIdFieldName: spec.externalIdField }
      : {}),
    ...(spec.assignmentRuleId ? { assignmentRuleId: spec.assignmentRuleId } : {}),
  };
}

function goneOr(jobId: string, error: unknown): unknown {
  if (!(error instanceof SalesforceRefusal) || error.status !== 404 || !hasCode(error.errors, 'NOT_FOUND'))
    return error;
  return new LoadError(
    'BULK_JOB_GONE',
    `Salesforce does not know job ${jobId} any more: it was deleted, or it is more than 7 days old and was removed with its results`,
    { cause: error },
  );
}
