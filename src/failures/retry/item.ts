import type { Attempt, Failure } from '../../failure.ts';
import type { Job, Operation } from '../../job.ts';
import { parseError } from '../parse-error.ts';
import type { RestRecord, RestRecords } from '../rest-record.ts';
import { aloneCures } from '../rules/complete.ts';
import { lockedIds, type ParentLookups, parentLocks } from './parents.ts';

/** What a retry has to know of the job. `assignmentRuleId`: as the job had it, where it had one. */
export type RetryJob = Pick<Job, 'id' | 'object' | 'operation' | 'externalIdField'> & {
  assignmentRuleId?: string | null | undefined;
};

/** The calls that REST has. An upsert by `Id` is an update, or, without an Id, an insert. */
export type Verb = Exclude<Operation, 'hardDelete'>;

/** One record under way. The run alone changes it. */
export interface RetryItem {
  readonly original: Failure;
  readonly verb: Verb;
  /** Salesforce's id: what update and delete go by. */
  readonly id: string | undefined;
  readonly fields: Record<string, unknown>;
  /** Value of the job's external id field: what an upsert goes by, and a doubtful insert is looked up by. */
  readonly externalId: string | undefined;
  /** Two items of the same identity are the same record: never in one call, never in two at a time. */
  readonly identity: string | undefined;
  /** Rows that its save locks: its own and its parents'. Two calls in flight never share one. */
  locks: readonly string[];
  /** The text of its last error. */
  error: string;
  attempts: Attempt[];
  /** Calls that count against maxAttempts: not those that failed for the company's sake. */
  tries: number;
  /** Only ever sent by itself from now on. */
  alone: boolean;
  /** Failed before for the sake of those saved with it: kept apart from the others. */
  fragile: boolean;
  /** At most so many in a call with it: a call that was refused as a whole is sent again in halves. */
  company: number;
  /** Not before this moment, by the clock. */
  dueAt: number;
  /** An insert of it was sent and the answer lost: nobody knows whether it is there. */
  inDoubt: boolean;
  /** The org's clock, in whole seconds, when the first call that got no answer was made. */
  doubtfulSince: number | undefined;
  /** Calls in a row without an answer, and when that began, by the clock. */
  unanswered: number;
  unansweredSince: number | undefined;
}

/** Records of one Collections call (reference §3). */
export const MOST_IN_COMPANY = 200;

function verbOf(job: RetryJob, record: RestRecord): Verb | undefined {
  if (job.operation === 'hardDelete') return undefined;
  if (job.operation !== 'upsert' || job.externalIdField?.toLowerCase() !== 'id') return job.operation;
  return record.id === undefined ? 'insert' : 'update';
}

function textOf(fields: Record<string, unknown>, name: string | null): string | undefined {
  if (name === null) return undefined;
  const found = Object.keys(fields).find((field) => field.toLowerCase() === name.toLowerCase());
  const value = found === undefined ? undefined : fields[found];
  // Half a surrogate pair cannot be in a URL; Salesforce would have stored U+FFFD.
  return value === undefined || value === null || value === '' ? undefined : String(value).toWellFormed();
}

function identityOf(verb: Verb, id: string | undefined, externalId: string | undefined): string | undefined {
  if (verb === 'insert') return undefined;
  if (verb === 'upsert') return externalId === undefined ? undefined : `key ${externalId.toLowerCase()}`;
  return id?.slice(0, 15);
}

/** Undefined for an operation that REST does not have (hardDelete). */
export function makeItem(
  failure: Failure,
  job: RetryJob,
  records: RestRecords,
  lookups: ParentLookups,
): RetryItem | undefined {
  const record = records.toRest(failure.originalData);
  const verb = verbOf(job, record);
  if (verb === undefined) return undefined;
  const goesById = verb === 'update' || verb === 'delete';
  const id = goesById ? (record.id ?? (failure.sfId || undefined)) : undefined;
  const externalId = textOf(record.fields, job.externalIdField);
  const identity = identityOf(verb, id, externalId);
  const error = parseError(failure.error);
  return {
    original: failure,
    verb,
    id,
    fields: record.fields,
    externalId,
    identity,
    locks: [
      ...(identity === undefined ? [] : [identity]),
      ...parentLocks(record.fields, lookups),
      ...lockedIds(error),
    ],
    error: failure.error,
    attempts: [...failure.attempts],
    tries: 0,
    alone: false,
    fragile: aloneCures(error),
    company: MOST_IN_COMPANY,
    dueAt: 0,
    inDoubt: false,
    doubtfulSince: undefined,
    unanswered: 0,
    unansweredSince: undefined,
  };
}

const RECORD_ID = /^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$/;

/** What is missing from the record so that no call can be made, as Salesforce would put it. */
export function unsendable(item: RetryItem, job: RetryJob): string | undefined {
  const goesById = item.verb === 'update' || item.verb === 'delete';
  if (goesById && item.id === undefined) {
    return `MISSING_ARGUMENT:Id not specified in an ${item.verb} call:--`;
  }
  if (goesById && !RECORD_ID.test(item.id ?? '')) return `MALFORMED_ID:bad id ${item.id}:--`;
  if (item.verb === 'upsert' && item.externalId === undefined) {
    return `MISSING_ARGUMENT:${job.externalIdField ?? 'External id'} not specified:--`;
  }
  return undefined;
}

/** Children of one parent next to each other: then a call touches few parents, and calls side by side none in common. */
export function byParent(items: readonly RetryItem[]): RetryItem[] {
  const keyed = items.map((item) => ({
    item,
    parent: item.locks.find((lock) => lock !== item.identity) ?? '',
  }));
  keyed.sort((a, b) => (a.parent < b.parent ? -1 : Number(a.parent > b.parent)));
  return keyed.map(({ item }) => item);
}
