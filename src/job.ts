/** The operations of a Bulk API 2.0 ingest job, spelt as the API spells them (Bulk API 2.0 guide, "Create a Job"). */
export const OPERATIONS = ['insert', 'update', 'upsert', 'delete', 'hardDelete'] as const;
export type Operation = (typeof OPERATIONS)[number];

export const JOB_STATES = [
  'Open',
  'UploadComplete',
  'InProgress',
  'JobComplete',
  'Failed',
  'Aborted',
] as const;
export type JobState = (typeof JOB_STATES)[number];

export type FinalJobState = 'JobComplete' | 'Failed' | 'Aborted';

export const COLUMN_DELIMITERS = {
  BACKQUOTE: '`',
  CARET: '^',
  COMMA: ',',
  PIPE: '|',
  SEMICOLON: ';',
  TAB: '\t',
} as const;
export type ColumnDelimiter = keyof typeof COLUMN_DELIMITERS;

export const LINE_ENDINGS = { LF: '\n', CRLF: '\r\n' } as const;
export type LineEnding = keyof typeof LINE_ENDINGS;

/** One ingest job, as `msg.job` carries it (design §4). Times in milliseconds, `bytes` of raw CSV with its header. */
export interface Job {
  id: string;
  runId: string | null;
  index: number;
  object: string;
  operation: Operation;
  externalIdField: string | null;
  assignmentRuleId: string | null;
  columns: string[];
  columnDelimiter: ColumnDelimiter;
  lineEnding: LineEnding;
  records: number;
  bytes: number;
  state: JobState;
  errorMessage: string | null;
  createdDate: string | null;
  numberRecordsProcessed: number;
  numberRecordsFailed: number;
  retries: number;
  totalProcessingTime: number;
  apiActiveProcessingTime: number;
  apexProcessingTime: number;
}

/** What a job is made of, before Salesforce has given it an id. */
export interface JobSpec {
  object: string;
  operation: Operation;
  externalIdField: string | null;
  columnDelimiter: ColumnDelimiter;
  lineEnding: LineEnding;
  assignmentRuleId: string | null;
}

export function isFinal(state: JobState): state is FinalJobState {
  return state === 'JobComplete' || state === 'Failed' || state === 'Aborted';
}

/** Records of both can go into one job. */
export function sameSpec(a: JobSpec, b: JobSpec): boolean {
  return (
    a.object === b.object &&
    a.operation === b.operation &&
    a.externalIdField === b.externalIdField &&
    a.columnDelimiter === b.columnDelimiter &&
    a.lineEnding === b.lineEnding &&
    a.assignmentRuleId === b.assignmentRuleId
  );
}
