import type { CsvFault } from '../csv/csv-scan.ts';
import type { ColumnDelimiter, LineEnding } from '../csv/dialect.ts';
import type { Operation } from '../data/save.ts';
import { jobDateTime } from '../dates.ts';
import { Decimal, type Json } from '../json.ts';
import type { Field, ObjectModel } from '../model/types.ts';

export type JobState = 'Open' | 'UploadComplete' | 'InProgress' | 'JobComplete' | 'Failed' | 'Aborted';

export const FINAL_STATES: ReadonlySet<JobState> = new Set(['JobComplete', 'Failed', 'Aborted']);

/** What was uploaded to a job, on disk. */
export interface Upload {
  file: string;
  bytes: number;
  /** Records, the header line not counted. */
  records: number;
  fault: CsvFault | undefined;
}

export interface Job {
  id: string;
  /** 1 for the org's first job. */
  number: number;
  object: ObjectModel;
  operation: Operation;
  externalIdField: Field | undefined;
  externalIdFieldName: string | undefined;
  lineEnding: LineEnding;
  columnDelimiter: ColumnDelimiter;
  assignmentRuleId: string | undefined;
  apiVersion: string;
  createdById: string;
  createdAt: number;
  modifiedAt: number;
  state: JobState;
  isMultipart: boolean;
  /** A PUT is under way. */
  isUploading: boolean;
  upload: Upload | undefined;
  processed: number;
  failed: number;
  retries: number;
  startedAt: number;
  totalProcessingTime: number;
  apiActiveProcessingTime: number;
  apexProcessingTime: number;
  errorMessage: string | undefined;
  /** Gone: every call for it answers 404. */
  isGone: boolean;
}

type Keys = Record<string, Json | undefined>;

function commonKeys(job: Job): Keys {
  return {
    id: job.id,
    operation: job.operation,
    object: job.object.name,
    createdById: job.createdById,
    createdDate: jobDateTime(job.createdAt),
    systemModstamp: jobDateTime(job.modifiedAt),
    state: job.state,
    externalIdFieldName: job.externalIdFieldName,
    assignmentRuleId: job.assignmentRuleId,
    concurrencyMode: 'Parallel',
    contentType: 'CSV',
    apiVersion: new Decimal(job.apiVersion),
  };
}

const contentUrl = (job: Job): string => `services/data/v${job.apiVersion}/jobs/ingest/${job.id}/batches`;

const formatKeys = (job: Job): Keys => ({ lineEnding: job.lineEnding, columnDelimiter: job.columnDelimiter });

/** Answer to POST (reference §1.2). */
export function createdInfo(job: Job): Json {
  return {
    ...commonKeys(job),
    contentUrl: job.isMultipart ? undefined : contentUrl(job),
    ...formatKeys(job),
  };
}

/** Answer to PATCH: nothing of the format, no job type. */
export const patchedInfo = (job: Job): Json => commonKeys(job);

/** Answer to GET. */
export function jobInfo(job: Job): Json {
  const isOpen = job.state === 'Open';
  const hasCounters = !isOpen || job.upload !== undefined;
  return {
    ...commonKeys(job),
    jobType: 'V2Ingest',
    contentUrl: isOpen ? contentUrl(job) : undefined,
    ...formatKeys(job),
    numberRecordsProcessed: hasCounters ? job.processed : undefined,
    numberRecordsFailed: hasCounters ? job.failed : undefined,
    retries: job.retries,
    totalProcessingTime: job.totalProcessingTime,
    apiActiveProcessingTime: job.apiActiveProcessingTime,
    apexProcessingTime: job.apexProcessingTime,
    errorMessage: job.errorMessage,
  };
}

/** A job in the list: no counters, no errorMessage. */
export function listedInfo(job: Job): Json {
  return {
    ...commonKeys(job),
    jobType: 'V2Ingest',
    contentUrl: job.state === 'Open' ? contentUrl(job) : undefined,
    ...formatKeys(job),
  };
}
