import { checkedApiName, isRecordId } from './api-name.ts';
import type { ApiRequest, CallOptions } from './call.ts';
import { type CollectionOperation, type CollectionRecord, collectionRequest } from './collection-request.ts';
import { DoubtfulOutcome, isRefusal } from './outcome.ts';
import { type QueriedRecord, query } from './query.ts';
import {
  collectionAnswer,
  deletedAnyway,
  REFUSED,
  type RecordAnswer,
  refusedHere,
  savedAnswer,
} from './record-answer.ts';
import type { SalesforceSession } from './session.ts';
import { type LiteralKind, queriesWithin, soqlLiteral } from './soql.ts';

export type { CollectionRecord } from './collection-request.ts';
export type { RecordAnswer } from './record-answer.ts';

/** Field API name to JSON value; the record's own Id stands apart. */
export type RecordFields = Record<string, unknown>;

export interface SaveOptions extends CallOptions {
  /** An assignment rule's id. Without one no rule runs, as in a Bulk job without one. */
  assignmentRuleId?: string | null | undefined;
}

/** Salesforce takes 200 records in one Collections call (reference bulk-api-2.md §3). */
export const MOST_IN_COLLECTION = 200;

/**
 * Records one by one and in Collections of up to 200 (reference bulk-api-2.md §8).
 *
 * A record that Salesforce refuses is an answer with `success: false`. Rejects with DoubtfulOutcome when the call may have
 * been processed; any other rejection means that it was not.
 */
export class RecordsApi {
  readonly #session: SalesforceSession;

  constructor(session: SalesforceSession) {
    this.#session = session;
  }

  createRecord(object: string, fields: RecordFields, options: SaveOptions = {}): Promise<RecordAnswer> {
    return this.#save(
      { what: `Insert of a ${object}`, method: 'POST', path: objectPath(object), json: fields },
      { created: true },
      options,
    );
  }

  updateRecord(
    object: string,
    id: string,
    fields: RecordFields,
    options: SaveOptions = {},
  ): Promise<RecordAnswer> {
    if (!isRecordId(id)) return Promise.resolve(malformedId());
    return this.#save(
      {
        what: `Update of ${object} ${id}`,
        method: 'PATCH',
        path: `${objectPath(object)}/${id}`,
        json: fields,
      },
      { id, created: false },
      options,
    );
  }

  /**
   * By external id; the value itself must not be among the fields that are sent, and is taken out. Several records with the
   * same external id are refused as DUPLICATE_EXTERNAL_ID, which is what Bulk calls it.
   */
  async upsertRecord(
    object: string,
    externalIdField: string,
    value: string,
    fields: RecordFields,
    options: SaveOptions = {},
  ): Promise<RecordAnswer> {
    checkedApiName('field', externalIdField);
    if (value === '') return refusedHere('MISSING_ARGUMENT', `${externalIdField} not specified`);
    if (!fitsInPath(value)) return this.#upsertInBody(object, externalIdField, value, fields, options);
    return this.#save(
      {
        what: `Upsert of a ${object}`,
        method: 'PATCH',
        path: `${objectPath(object)}/${externalIdField}/${encodeURIComponent(value)}`,
        json: withoutField(fields, externalIdField),
        alsoAccepted: [300],
      },
      { created: null },
      options,
    );
  }

  /** A record that is deleted already counts as done. */
  async deleteRecord(object: string, id: string, options: CallOptions = {}): Promise<RecordAnswer> {
    if (!isRecordId(id)) return malformedId();
    const answer = await this.#save(
      {
        what: `Delete of ${object} ${id}`,
        method: 'DELETE',
        path: `${objectPath(object)}/${id}`,
      },
      { id, created: false },
      options,
    );
    return deletedAnyway(answer, id);
  }

  /** Up to 200 records in one call, each judged on its own; the answers are in the order of the records. */
  async saveCollection(
    operation: CollectionOperation,
    object: string,
    records: readonly CollectionRecord[],
    options: SaveOptions & { externalIdField?: string | null | undefined } = {},
  ): Promise<RecordAnswer[]> {
    if (records.length === 0) return [];
    if (records.length > MOST_IN_COLLECTION)
      throw new RangeError(`more than ${MOST_IN_COLLECTION} records in one call`);
    const what = `Collections ${operation} of ${records.length} ${object}`;
    const request = collectionRequest(
      operation,
      checkedApiName('object', object),
      records,
      options.externalIdField,
    );
    const answer = await this.#session.call(
      { ...request, what, kind: 'doubtful', isAboutRecords: true, headers: saveHeaders(options) },
      options,
    );
    const items = Array.isArray(answer.body) ? answer.body : [];
    if (items.length !== records.length) {
      const why = `${items.length} answers to ${records.length} records`;
      throw new DoubtfulOutcome(what, why, { status: answer.status, answeredAt: answer.answeredAt });
    }
    return items.map((item, index) => {
      const id = records[index]?.id ?? null;
      const read = collectionAnswer(item, operation, id, answer.answeredAt);
      return operation === 'delete' && id !== null ? deletedAnyway(read, id) : read;
    });
  }

  /**
   * The records whose `field` has one of the values, in any order. Text is compared by Salesforce without regard to capitals
   * unless the field minds them: the caller compares again.
   */
  async findByExternalId(
    object: string,
    field: string,
    values: readonly string[],
    options: CallOptions & { fields?: readonly string[]; literal?: LiteralKind } = {},
  ): Promise<QueriedRecord[]> {
    const asked = [...new Set([...(options.fields ?? ['Id', 'CreatedDate', 'CreatedById']), field])];
    const columns = asked.map((name) => checkedApiName('field', name)).join(', ');
    const head = `SELECT ${columns} FROM ${checkedApiName('object', object)} WHERE ${field} IN`;
    const literals = [...new Set(values)].flatMap(
      (value) => soqlLiteral(value, options.literal ?? 'text') ?? [],
    );
    const found: QueriedRecord[] = [];
    for (const soql of queriesWithin(head, literals)) {
      found.push(...(await query(this.#session, `Look-up of ${object} by ${field}`, soql, options)));
    }
    return found;
  }

  async #save(
    request: Omit<ApiRequest, 'kind' | 'headers'>,
    known: { id?: string; created: boolean | null },
    options: SaveOptions,
  ): Promise<RecordAnswer> {
    try {
      const answer = await this.#session.call(
        { ...request, kind: 'doubtful', isAboutRecords: true, headers: saveHeaders(options) },
        options,
      );
      return savedAnswer(request.what, answer, known);
    } catch (error) {
      if (!isRefusal(error) || !RECORD_REFUSALS.has(error.status)) throw error;
      return { ...REFUSED, errors: [...error.errors], answeredAt: error.answeredAt };
    }
  }

  async #upsertInBody(
    object: string,
    externalIdField: string,
    value: string,
    fields: RecordFields,
    options: SaveOptions,
  ): Promise<RecordAnswer> {
    const record = { fields: { ...withoutField(fields, externalIdField), [externalIdField]: value } };
    const [answer] = await this.saveCollection('upsert', object, [record], { ...options, externalIdField });
    return answer ?? refusedHere('UNKNOWN_EXCEPTION', 'no answer for the record');
  }
}

/** As Salesforce words it; not asked, since the text would go into a URL. */
function malformedId(): RecordAnswer {
  return refusedHere('MALFORMED_ID', 'the Id is not 15 or 18 letters and digits');
}

/**
 * These say something about the record. A 403 may be about the user, the org or the record, which only its code tells (the
 * reference lists it without bodies): it is thrown like the others, and who knows the codes decides.
 */
const RECORD_REFUSALS = new Set([400, 404, 409, 412]);

/** Without the header Salesforce runs the active assignment rule; a Bulk job without a rule runs none. */
function saveHeaders(options: SaveOptions): Record<string, string> {
  return { 'sforce-auto-assign': options.assignmentRuleId || 'FALSE' };
}

function objectPath(object: string): string {
  return `/sobjects/${checkedApiName('object', object)}`;
}

/** `.` and `..` would be steps of the path even when they are percent-encoded. */
function fitsInPath(value: string): boolean {
  return value !== '.' && value !== '..';
}

function withoutField(fields: RecordFields, name: string): RecordFields {
  return Object.fromEntries(
    Object.entries(fields).filter(([field]) => field.toLowerCase() !== name.toLowerCase()),
  );
}
