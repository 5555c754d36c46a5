import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { isDelimiter, isLineEnding } from '../csv/dialect.ts';
import type { Operation } from '../data/save.ts';
import { parseJsonObject, readAll, readJson } from '../http/body.ts';
import { bulkError, bulkJson, type Call, empty, notFound, type Refusal, type Reply } from '../http/reply.ts';
import type { JsonObject } from '../json.ts';
import type { OrgModel } from '../model/model.ts';
import type { ObjectModel } from '../model/types.ts';
import type { ChosenRefusal, Settings } from '../options.ts';
import { createdInfo, FINAL_STATES, type Job, jobInfo, listedInfo, patchedInfo, type Upload } from './job.ts';
import type { JobFaults, ResultFile } from './job-faults.ts';
import type { Jobs } from './jobs.ts';
import { splitMultipart } from './multipart.ts';
import type { Processor } from './processor.ts';
import { resultBody } from './results.ts';
import { appendUpload, receiveUpload } from './upload.ts';

const OPERATIONS: readonly string[] = ['insert', 'update', 'upsert', 'delete', 'hardDelete'];
const isOperation = (value: unknown): value is Operation =>
  typeof value === 'string' && OPERATIONS.includes(value);

/** The properties that a create call may have (reference §1.1). */
const CREATE_KEYS: readonly string[] = [
  'object',
  'operation',
  'externalIdFieldName',
  'contentType',
  'lineEnding',
  'columnDelimiter',
  'assignmentRuleId',
];

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
    const job = this.#make(await readJson(call), call.version, false);
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
    const job = this.#make(parseJsonObject(info.content.toString('utf8')), call.version, true);
    job.upload = await receiveUpload(
      job,
      Readable.from([content.content]),
      jobs.file(job, 'upload'),
      settings,
    );
    this.#close(job);
    return bulkJson(200, createdInfo(job));
  }

  #make(body: JsonObject, version: string, isMultipart: boolean): Job {
    const unknown = Object.keys(body).find((key) => !CREATE_KEYS.includes(key));
    if (unknown !== undefined) {
      throw bulkError(400, 'JSON_PARSER_ERROR', `Unrecognized field "${unknown}"`);
    }
    const {
      operation,
      lineEnding = 'LF',
      columnDelimiter = 'COMMA',
      contentType = 'CSV',
      assignmentRuleId,
    } = body;
    if (!isOperation(operation)) {
      throw bulkError(400, 'INVALIDJOB', `InvalidJob : Unsupported operation: ${String(operation)}`);
    }
    if (!isLineEnding(lineEnding) || !isDelimiter(columnDelimiter) || contentType !== 'CSV') {
      throw bulkError(
        400,
        'INVALIDJOB',
        'InvalidJob : Unsupported contentType, lineEnding or columnDelimiter',
      );
    }
    const object = this.#object(body.object, operation);
    return this.#parts.jobs.create({
      ...this.#externalId(object, operation, body.externalIdFieldName),
      object,
      operation,
      lineEnding,
      columnDelimiter,
      assignmentRuleId: this.#assignmentRule(object, assignmentRuleId),
      apiVersion: version,
      createdById: this.#parts.userId,
      isMultipart,
    });
  }

  #object(name: unknown, operation: Operation): ObjectModel {
    if (typeof name !== 'string' || name === '') {
      throw bulkError(400, 'INVALIDJOB', 'InvalidJob : An object is required');
    }
    const object = this.#parts.model.find(name);
    if (!object || object.bulk === false) {
      throw bulkError(
        400,
        'INVALIDENTITY',
        `InvalidEntity : Entity '${name}' is not supported by the Bulk API`,
      );
    }
    if (operation === 'hardDelete' && !this.#parts.settings.hardDelete) {
      throw bulkError(
        400,
        'FEATURENOTENABLED',
        'FeatureNotEnabled : hardDelete operation is not enabled for this user',
      );
    }
    return object;
  }

  #externalId(
    object: ObjectModel,
    operation: Operation,
    name: unknown,
  ): Pick<Job, 'externalIdField' | 'externalIdFieldName'> {
    if (operation !== 'upsert') {
      return { externalIdField: undefined, externalIdFieldName: undefined };
    }
    if (typeof name !== 'string' || name === '') {
      const message = `InvalidJob : External ID was blank for ${object.name}. An External ID must be specified for upsert.`;
      throw bulkError(400, 'INVALIDJOB', message);
    }
    const field = this.#parts.model.findField(object, name);
    if (!field || !(field.externalId || field.idLookup)) {
      const message = `InvalidJob : Field name provided, ${name} does not match an External ID for ${object.name}`;
      throw bulkError(400, 'INVALIDJOB', message);
    }
    return { externalIdField: field, externalIdFieldName: name };
  }

  #assignmentRule(object: ObjectModel, id: unknown): string | undefined {
    if (id === undefined || id === null || id === '') {
      return undefined;
    }
    const rule = object.assignmentRules?.find((each) => each.id === id || each.id.slice(0, 15) === id);
    if (!rule) {
      throw bulkError(400, 'INVALIDJOB', `InvalidJob : Invalid assignment rule id: ${String(id)}`);
    }
    return rule.id;
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
