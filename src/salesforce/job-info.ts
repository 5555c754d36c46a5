import { LoadError } from '../errors.ts';
import { JOB_STATES, type JobState } from '../job.ts';

/**
 * An ingest job as the API tells it. Which keys come depends on the call and on the state (reference bulk-api-2.md §1.2):
 * what did not come is null, and a counter that did not come means that the org has not counted yet.
 */
export interface JobInfo {
  id: string;
  state: JobState;
  object: string | null;
  operation: string | null;
  createdById: string | null;
  /** `2024-09-05T11:30:08.000+0000`, as sent. */
  createdDate: string | null;
  systemModstamp: string | null;
  externalIdFieldName: string | null;
  assignmentRuleId: string | null;
  concurrencyMode: string | null;
  contentType: string | null;
  apiVersion: number | null;
  jobType: string | null;
  contentUrl: string | null;
  lineEnding: string | null;
  columnDelimiter: string | null;
  /** Includes the failed ones. */
  numberRecordsProcessed: number | null;
  numberRecordsFailed: number | null;
  retries: number | null;
  /** Milliseconds; so are the two below. */
  totalProcessingTime: number | null;
  apiActiveProcessingTime: number | null;
  apexProcessingTime: number | null;
  errorMessage: string | null;
}

/** Reads the answer of create, close, abort and info. Throws SF_REQUEST_FAILED for anything that is not a job. */
export function parseJobInfo(body: unknown): JobInfo {
  const values = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const id = textOf(values.id);
  const state = JOB_STATES.find((known) => known === values.state);
  if (id === null || state === undefined) {
    throw new LoadError(
      'SF_REQUEST_FAILED',
      `Salesforce's answer is not an ingest job (id ${id}, state ${String(values.state)})`,
    );
  }
  return {
    id,
    state,
    object: textOf(values.object),
    operation: textOf(values.operation),
    createdById: textOf(values.createdById),
    createdDate: textOf(values.createdDate),
    systemModstamp: textOf(values.systemModstamp),
    externalIdFieldName: textOf(values.externalIdFieldName),
    assignmentRuleId: textOf(values.assignmentRuleId),
    concurrencyMode: textOf(values.concurrencyMode),
    contentType: textOf(values.contentType),
    apiVersion: numberOf(values.apiVersion),
    jobType: textOf(values.jobType),
    contentUrl: textOf(values.contentUrl),
    lineEnding: textOf(values.lineEnding),
    columnDelimiter: textOf(values.columnDelimiter),
    numberRecordsProcessed: numberOf(values.numberRecordsProcessed),
    numberRecordsFailed: numberOf(values.numberRecordsFailed),
    retries: numberOf(values.retries),
    totalProcessingTime: numberOf(values.totalProcessingTime),
    apiActiveProcessingTime: numberOf(values.apiActiveProcessingTime),
    apexProcessingTime: numberOf(values.apexProcessingTime),
    errorMessage: textOf(values.errorMessage),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** `apiVersion` is a number on the wire and a string in the guide; both are read. */
function numberOf(value: unknown): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}
