import type { CallOptions } from '../salesforce/call.ts';
import type { RestError } from './parse-error.ts';
import type { DescribedObject } from './rest-record.ts';

/** What became of one record; `src/salesforce/records.ts` has the facts. */
export interface RecordAnswer {
  success: boolean;
  id: string | null;
  errors: readonly RestError[];
}

export interface SaveOptions extends CallOptions {
  assignmentRuleId?: string | null | undefined;
}

type Fields = Record<string, unknown>;

/**
 * The record calls that a retry makes (RecordsApi). They reject with DoubtfulOutcome when Salesforce may have processed
 * the call; any other rejection means that it did not.
 */
export interface RecordApi {
  createRecord(object: string, fields: Fields, options: SaveOptions): Promise<RecordAnswer>;
  updateRecord(object: string, id: string, fields: Fields, options: SaveOptions): Promise<RecordAnswer>;
  upsertRecord(
    object: string,
    externalIdField: string,
    value: string,
    fields: Fields,
    options: SaveOptions,
  ): Promise<RecordAnswer>;
  deleteRecord(object: string, id: string, options: CallOptions): Promise<RecordAnswer>;
  saveCollection(
    operation: 'insert' | 'update' | 'upsert' | 'delete',
    object: string,
    records: readonly { id?: string | undefined; fields: Fields }[],
    options: SaveOptions & { externalIdField?: string | null | undefined },
  ): Promise<RecordAnswer[]>;
  findByExternalId(
    object: string,
    field: string,
    values: readonly string[],
    options: CallOptions & { literal?: 'text' | 'number' },
  ): Promise<Record<string, unknown>[]>;
}

/** What a retry asks of the session (SalesforceSession). */
export interface RetrySession {
  /** The org's clock, in whole seconds, never ahead of the org. */
  orgNow(): Date;
  identity(options: CallOptions): Promise<{ userId: string }>;
  /** Throws SF_API_LIMIT beyond the share of the day's calls that loads may use. */
  assertBudget(): void;
}

/** Where the types of fields come from (DescribeApi). */
export interface DescribeSource {
  describe(object: string, options: CallOptions): Promise<DescribedObject>;
}
