import type { SourceRecord } from './record.ts';

/** Why a record failed, in words that decide what happens to it (docs/failures.md says what each means). */
export const ERROR_CATEGORIES = [
  'DUPLICATE_VALUE',
  'VALIDATION',
  'LIMIT',
  'LOCK',
  'TRANSIENT',
  'CONDITIONAL',
  'REFERENCE',
  'PERMISSION',
  'AUTH',
  'REQUEST',
  'SETUP',
  'OTHER',
] as const;
export type ErrorCategory = (typeof ERROR_CATEGORIES)[number];

/** One try to get a record into Salesforce. `at` is ISO 8601; `via` names the road it took. */
export interface Attempt {
  at: string;
  via: 'bulk' | 'individual' | 'collections';
  errorCode: string;
  errorMessage: string;
}

/** A row of a job's failed results: the sf__ columns, the key, and the record's own columns as text. */
export type FailedRow = { sf__Id: string; sf__Error: string; sf__Key: string } & Record<string, string>;

/** One failed record after classification (design §4). `originalData` is the record as uploaded, without sf__ columns. */
export interface Failure {
  key: string;
  sfId: string;
  error: string;
  errorCode: string;
  errorMessage: string;
  errorFields: string[];
  errorCategory: ErrorCategory;
  retryable: boolean;
  rule: string;
  originalData: SourceRecord;
  attempts: Attempt[];
}

/** A failed record that a retry got in after all. */
export interface RetriedRecord {
  key: string;
  sfId: string;
  originalData: SourceRecord;
  attempts: Attempt[];
}
