import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { parseJsonObject, readAll, readJson } from '../http/body.ts';
import { bulkError, bulkJson, type Call, empty, notFound, type Refusal, type Reply } from '../http/reply.ts';
import type { JsonObject } from '../json.ts';
import type { OrgModel } from '../model/model.ts';
import type { ChosenRefusal, Settings } from '../options.ts';
import { readCreateRequest } from './create-request.ts';
import { createdInfo, FINAL_STATES, type Job, jobInfo, listedInfo, patchedInfo, type Upload } from './job.ts';
import type { JobFaults, ResultFile } from './job-faults.ts';
import type { Jobs } from './jobs.ts';
import { splitMultipart } from './multipart.ts';
import type { Processor } from './processor.ts';
import { resultBody } from './results.ts';
import { appendUpload, receiveUpload } from './upload.ts';

const CSV = 'text/csv; charset=UTF-8';
const MULTIPART_LIMIT = 100_000;
const PAGE = 1000;
const LOCATOR_PREFIX = '01gR0000000000A';

interface Parts {
  settings: Settings;
  model: OrgModel;
  jobs: Jobs;
  faults: JobFaults;
  processor: Processor;
  userId: string;
}

const chosen = ({ status, errorCode, message }: ChosenRefusal): Refusal =>
  bulkError(status, errorCode, message);

/** The calls of Bulk API 2.0 ingest (reference §1). */
export class IngestCalls {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async create(call: Call): Promise<Reply> {
    const type = call.headers['content-type'] ?? '';
    if (type.startsWith('multipart/form-data')) {
      return this.#createWithData(call, type);
    }
    const job = this.#make(await readJson(call), call, false);
    return bulkJson(200, createdInfo(job));
  }

  async upload(call: Call): Promise<Reply> {
    const job = this.#find(call);
    const { settings, jobs } = this.#parts;
    this.#checkUpload(call, job);
    job.isUploading = true;
    try {
      const upload = await receiveUpload(job, plainBody(call), `${jobs.file(job, 'upload')}.new`, settings);
      if (job.state !== 'Open' || job.isGone) {
        await rm(upload.file, { force: true });
        throw chosen(settings.putRefusal);
      }
      const target = jobs.file(job, 'upload');
      const isMore = job.upload !== undefined && settings.secondPut === 'append';
      job.upload =
        isMore && job.upload
          ? await appendUpload(job, upload, job.upload, settings)
          : await placed(upload, target);
    } finally {
      job.isUploading = false;
    }
    return empty(201);
  }

  async patch(call: Call): Promise<Reply> {
    const job = this.#find(call);
    const { state } = await readJson(call);
    if (state === 'UploadComplete') {
      this.#close(job);
    } else if (state === 'Aborted') {
      this.#abort(job);
    } else {
      throw bulkError(
        400,
        'INVALIDJOBSTATE',
        `Changing the state of a job to ${String(state)} is not allowed`,
      );
    }
    return bulkJson(200, patchedInfo(job));
  }

  info(call: Call): Reply {
    return bulkJson(200, jobInfo(this.#find(call)));
  }

  list(call: Call): Reply {
    const from = Number(call.query.get('queryLocator')?.split('-')[1] ?? 0);
    const jobType = call.query.get('jobType');
    const wanted = jobType === null || jobType === 'V2Ingest' ? this.#parts.jobs.visible() : [];
    const next = from + PAGE;
    const locator = `/services/data/v${call.version}/jobs/ingest?queryLocator=${LOCATOR_PREFIX}-${next}`;
    return bulkJson(200, {
      done: next >= wanted.length,
      records: wanted.slice(from, next).map(listedInfo),
      nextRecordsUrl: next >= wanted.length ? null : locator,
    });
  }

  async remove(call: Call): Promise<Reply> {
    const job = this.#find(call);
    if (job.state === 'Open' || job.state === 'InProgress') {
      const message = 'Error encountered when deleting the job because the job is not terminated';
      throw bulkError(400, 'API_ERROR', message);
    }
    job.isGone = true;
    await this.#parts.processor.settled(job);
    await this.#parts.jobs.delete(job);
    return empty(204);
  }

  async results(call: Call, file: ResultFile): Promise<Reply> {
    const job = this.#find(call);
    const { settings, jobs, faults, processor } = this.#parts;
    if (!FINAL_STATES.has(job.state)) {
      throw chosen(settings.earlyResults);
    }
    await processor.settled(job);
    const fault = faults.findForFile(job, file);
    if (fault) {
      return fault.status === 204 ? empty(204) : { status: 200, headers: { 'content-type': CSV }, body: '' };
    }
    return { status: 200, headers: { 'content-type': CSV }, body: resultBody(job, file, jobs, settings) };
  }

  #find(call: Call): Job {
    const job = this.#parts.jobs.find(call.params.id ?? '');
    if (!job) {
      throw notFound();
    }
    return job;
  }

  async #createWithData(call: Call, contentType: string): Promise<Reply> {
    const { settings, jobs } = this.#parts;
    const parts = splitMultipart(await readAll(call), contentType);
    const info = parts.find((part) => part.name === 'job');
    const content = parts.find((part) => part.name === 'content');
    if (!info || !content) {
      throw bulkError(400, 'INVALID_MULTIPART_REQUEST', 'The parts job and content are required');
    }
    if (content.content.toString('utf8').length > MULTIPART_LIMIT) {
      throw bulkError(400, 'INVALID_MULTIPART_REQUEST', `More than ${MULTIPART_LIMIT} characters of data`);
    }
    const job = this.#make(parseJsonObject(info.content.toString('utf8')), call, true);
    job.upload = await receiveUpload(
      job,
      Readable.from([content.content]),
      jobs.file(job, 'upload'),
      settings,
    );
    this.#close(job);
    return bulkJson(200, createdInfo(job));
  }

  #make(body: JsonObject, { version }: Call, isMultipart: boolean): Job {
    const { jobs, model, settings, userId } = this.#parts;
    const asked = readCreateRequest(body, model, settings);
    return jobs.create({ ...asked, apiVersion: version, createdById: userId, isMultipart });
  }

  #checkUpload(call: Call, job: Job): void {
    const { settings } = this.#parts;
    const isSecond = job.upload !== undefined && settings.secondPut === 'refuse';
    if (job.state !== 'Open' || job.isUploading || isSecond) {
      throw chosen(settings.putRefusal);
    }
    if (!(call.headers['content-type'] ?? '').startsWith('text/csv')) {
      throw bulkError(415, 'UNSUPPORTED_MEDIA_TYPE', 'The content type of an upload is text/csv');
    }
    if (call.headers['content-encoding'] !== undefined && !settings.gzipUpload) {
      throw bulkError(415, 'UNSUPPORTED_MEDIA_TYPE', 'Compressed uploads are not supported');
    }
  }

  #close(job: Job): void {
    if (job.state !== 'Open') {
      throw bulkError(400, 'INVALIDJOBSTATE', 'Closing already Completed Job not allowed');
    }
    this.#parts.jobs.move(job, 'UploadComplete');
    job.modifiedAt = job.createdAt;
    this.#parts.processor.enqueue(job);
  }

  #abort(job: Job): void {
    if (FINAL_STATES.has(job.state)) {
      throw bulkError(400, 'INVALIDJOBSTATE', 'Aborting already Completed Job not allowed');
    }
    this.#parts.jobs.move(job, 'Aborted');
    this.#parts.processor.wake();
  }
}

function plainBody(call: Call): AsyncIterable<Buffer> {
  return call.headers['content-encoding'] === 'gzip'
    ? Readable.from(call.body).pipe(createGunzip())
    : call.body;
}

async function placed(upload: Upload, file: string): Promise<Upload> {
  await rename(upload.file, file);
  return { ...upload, file };
}
