import {
  COLUMN_DELIMITERS,
  type ColumnDelimiter,
  type Job,
  LINE_ENDINGS,
  type LineEnding,
  OPERATIONS,
} from '../job.ts';
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
    object: info.object ?? before?.object ?? '',
    operation: oneOf(OPERATIONS, info.operation) ?? before?.operation ?? 'insert',
    externalIdField: info.externalIdFieldName ?? before?.externalIdField ?? null,
    assignmentRuleId: info.assignmentRuleId ?? before?.assignmentRuleId ?? null,
    columns: known.columns,
    columnDelimiter: oneOf(DELIMITER_NAMES, info.columnDelimiter) ?? before?.columnDelimiter ?? 'COMMA',
    lineEnding: oneOf(LINE_ENDING_NAMES, info.lineEnding) ?? before?.lineEnding ?? 'LF',
    records: known.records,
    bytes: known.bytes,
    state: info.state,
    errorMessage: info.errorMessage,
    createdDate: info.createdDate ?? before?.createdDate ?? null,
    ...counters(info, before),
  };
}

const COUNTERS = [
  'numberRecordsProcessed',
  'numberRecordsFailed',
  'retries',
  'totalProcessingTime',
  'apiActiveProcessingTime',
  'apexProcessingTime',
] as const;
type Counter = (typeof COUNTERS)[number];

function counters(info: JobInfo, before: Job | undefined): Record<Counter, number> {
  return Object.fromEntries(COUNTERS.map((name) => [name, info[name] ?? before?.[name] ?? 0])) as Record<
    Counter,
    number
  >;
}

const DELIMITER_NAMES = Object.keys(COLUMN_DELIMITERS) as ColumnDelimiter[];
const LINE_ENDING_NAMES = Object.keys(LINE_ENDINGS) as LineEnding[];

function oneOf<T extends string>(values: readonly T[], value: string | null): T | undefined {
  return values.find((known) => known === value);
}
