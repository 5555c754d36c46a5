import type { Job } from '../job.ts';
import type { JobInfo } from '../salesforce/ingest.ts';

/** What Salesforce does not know of a job: it comes from the run that made it, or from nowhere. */
export type OwnSide = Pick<Job, 'runId' | 'index' | 'columns' | 'records' | 'bytes'>;

const UNKNOWN: OwnSide = { runId: null, index: 0, columns: [], records: 0, bytes: 0 };

/** A close is answered with fewer fields than a job has (reference §1.2), so `known` fills what is missing. */
export function jobFromInfo(info: JobInfo, known: OwnSide | Job = UNKNOWN): Job {
  const before = 'id' in known ? known : undefined;
  return {
    id: info.id,
    runId: known.runId,
    index: known.index,
    object: info.object,
    operation: info.operation,
    externalIdField: info.externalIdFieldName ?? before?.externalIdField ?? null,
    columns: known.columns,
    columnDelimiter: info.columnDelimiter ?? before?.columnDelimiter ?? 'COMMA',
    lineEnding: info.lineEnding ?? before?.lineEnding ?? 'LF',
    records: known.records,
    bytes: known.bytes,
    state: info.state,
    errorMessage: info.errorMessage ?? null,
    createdDate: info.createdDate ?? before?.createdDate ?? null,
    numberRecordsProcessed: info.numberRecordsProcessed ?? before?.numberRecordsProcessed ?? 0,
    numberRecordsFailed: info.numberRecordsFailed ?? before?.numberRecordsFailed ?? 0,
    retries: info.retries ?? before?.retries ?? 0,
    totalProcessingTime: info.totalProcessingTime ?? before?.totalProcessingTime ?? 0,
    apiActiveProcessingTime: info.apiActiveProcessingTime ?? before?.apiActiveProcessingTime ?? 0,
    apexProcessingTime: info.apexProcessingTime ?? before?.apexProcessingTime ?? 0,
  };
}
