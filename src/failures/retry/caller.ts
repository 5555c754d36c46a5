import type { CallMeter, CallOptions } from '../../salesforce/call.ts';
import {
  type DoubtfulOutcome,
  isDoubtful,
  isRefusal,
  type SalesforceRefusal,
} from '../../salesforce/outcome.ts';
import { formatError, type ParsedError, parseRestErrors } from '../parse-error.ts';
import type { RecordAnswer, RecordApi, SaveOptions } from '../record-api.ts';
import { findStatusCode } from '../rules/status-codes.ts';
import type { RetryItem, RetryJob } from './item.ts';

/** What became of one record in one call. `unanswered`: nobody knows. */
export type Answer =
  | { kind: 'saved'; id: string }
  | { kind: 'refused'; error: ParsedError }
  | { kind: 'unanswered'; error: ParsedError };

export const NO_ANSWER = 'NO_ANSWER';

/** Statuses of a refusal that lies with a record of the call, such as a value that does not fit its type. */
const RECORD_STATUSES = new Set([400, 404, 409, 412, 413, 414]);
/** Of these, the statuses with which one bad record spoils the call of the others. */
const SPOILT_STATUSES = new Set([400, 413, 414]);
/** Categories of codes that say something of a record, or of a right to it. */
const RECORD_CATEGORIES = new Set(['PERMISSION', 'REFERENCE', 'VALIDATION']);
/** Of the codes in these categories, those about the org, the user or the app: every call would be refused alike. */
const CALL_CODES = new Set([
  'API_DISABLED_FOR_ORG',
  'COMMUNITY_NOT_ACCESSIBLE',
  'FEATURENOTENABLED',
  'FORBIDDEN',
  'FUNCTIONALITY_NOT_ENABLED',
  'FeatureNotEnabled',
  'InvalidUser',
  'OP_WITH_INVALID_USER_TYPE_EXCEPTION',
  'PORTAL_NO_ACCESS',
  'TXN_SECURITY_NO_ACCESS',
]);

/** Makes the calls of one job: the job's operation decides which. */
export class RecordCaller {
  readonly #records: RecordApi;
  readonly #job: RetryJob;
  readonly #meter: CallMeter;
  readonly #signal: AbortSignal;

  constructor(parts: { records: RecordApi; job: RetryJob; meter: CallMeter; signal: AbortSignal }) {
    this.#records = parts.records;
    this.#job = parts.job;
    this.#meter = parts.meter;
    this.#signal = parts.signal;
  }

  /** A used-up day ends the retry at once: the rest of the batch leaves as failures instead of burning calls. */
  get options(): CallOptions {
    return { meter: this.#meter, signal: this.#signal, limitWaitMs: 0 };
  }

  /**
   * One call for the items, which have the same verb. `spoilt`: refused as a whole because of one of them. Rejects when no
   * record was looked at and none of them is to blame.
   */
  async send(items: readonly RetryItem[]): Promise<Answer[] | 'spoilt'> {
    try {
      return (await this.#call(items)).map(answerOf);
    } catch (error) {
      if (isDoubtful(error)) return items.map(() => unanswered(error));
      if (!isRefusal(error)) throw error;
      if (items.length === 1 && forbidsRecord(error)) return [refused(error)];
      if (!RECORD_STATUSES.has(error.status)) throw error;
      if (items.length > 1 && SPOILT_STATUSES.has(error.status)) return 'spoilt';
      return items.map(() => refused(error));
    }
  }

  async #call(items: readonly RetryItem[]): Promise<RecordAnswer[]> {
    const [first] = items;
    if (first === undefined) return [];
    return items.length === 1 ? [await this.#callAlone(first)] : this.#callTogether(first, items);
  }

  #callTogether(first: RetryItem, items: readonly RetryItem[]): Promise<RecordAnswer[]> {
    return this.#records.saveCollection(first.verb, this.#job.object, items, {
      ...this.#saveOptions(),
      externalIdField: this.#job.externalIdField,
    });
  }

  #callAlone(item: RetryItem): Promise<RecordAnswer> {
    const { object, externalIdField } = this.#job;
    const { fields, id = '', externalId = '' } = item;
    switch (item.verb) {
      case 'insert':
        return this.#records.createRecord(object, fields, this.#saveOptions());
      case 'update':
        return this.#records.updateRecord(object, id, fields, this.#saveOptions());
      case 'upsert':
        return this.#records.upsertRecord(
          object,
          externalIdField ?? '',
          externalId,
          fields,
          this.#saveOptions(),
        );
      case 'delete':
        return this.#records.deleteRecord(object, id, this.options);
    }
  }

  #saveOptions(): SaveOptions {
    return { ...this.options, assignmentRuleId: this.#job.assignmentRuleId };
  }
}

function answerOf(answer: RecordAnswer): Answer {
  if (answer.success) return { kind: 'saved', id: answer.id ?? '' };
  return { kind: 'refused', error: parseRestErrors(answer.errors) };
}

function refused(error: SalesforceRefusal): Answer {
  return { kind: 'refused', error: parseRestErrors(error.errors) };
}

/**
 * A 403 of a call for one record whose only fault is about that record, such as no right to it. The reference (§8) lists
 * the status without bodies, so the code decides: which codes come with a 403, and which with a 400, was never recorded.
 */
function forbidsRecord({ status, errors }: SalesforceRefusal): boolean {
  const [fault, ...others] = errors;
  if (status !== 403 || fault === undefined || others.length > 0) return false;
  const known = findStatusCode(fault.errorCode);
  return known !== undefined && RECORD_CATEGORIES.has(known.category) && !CALL_CODES.has(known.code);
}

/** Salesforce's own words where it had any, as for a 503. */
function unanswered(doubt: DoubtfulOutcome): Answer {
  const said = doubt.errors.map((each) => formatError(parseRestErrors([each]))).join(' ');
  const errorMessage = said === '' ? doubt.message : `${doubt.message} (${said})`;
  return {
    kind: 'unanswered',
    error: { errorCode: NO_ANSWER, errorMessage, errorFields: [], innerCodes: [], further: [] },
  };
}
