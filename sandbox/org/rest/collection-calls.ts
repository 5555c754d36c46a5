import { rowFault } from '../data/faults.ts';
import { type Draft, type Operation, type Outcome, rolledBack, type Saver, type Undo } from '../data/save.ts';
import type { Store } from '../data/store.ts';
import { readJson } from '../http/body.ts';
import { type Call, json, type Reply, restError } from '../http/reply.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import type { Field, ObjectModel } from '../model/types.ts';
import type { Settings } from '../options.ts';
import { assignedOwner } from './assignment.ts';
import { BadValue, draftOf } from './record-body.ts';

const LARGEST_CALL = 200;
/** Runs of records of the same type in one call. */
const MOST_RUNS = 10;

interface Parts {
  settings: Settings;
  store: Store;
  saver: Saver;
}

/** Records next to each other that are of the same object: saved together. */
interface Run {
  object: ObjectModel | undefined;
  drafts: Draft[];
}

interface Saving {
  call: Call;
  operation: Operation;
  allOrNone: boolean;
  externalIdField?: Field;
}

/** sObject Collections: up to 200 records in one transaction, each answered for itself (reference §8). */
export class CollectionCalls {
  readonly #settings: Settings;
  readonly #store: Store;
  readonly #saver: Saver;

  constructor({ settings, store, saver }: Parts) {
    this.#settings = settings;
    this.#store = store;
    this.#saver = saver;
  }

  async create(call: Call): Promise<Reply> {
    const { records, allOrNone } = await this.#read(call);
    return this.#save({ call, operation: 'insert', allOrNone }, this.#runs(records, typeOf, ['attributes']));
  }

  async update(call: Call): Promise<Reply> {
    const { records, allOrNone } = await this.#read(call);
    return this.#save(
      { call, operation: 'update', allOrNone },
      this.#runs(records, typeOf, ['attributes', 'id']),
    );
  }

  async upsert(call: Call): Promise<Reply> {
    const { records, allOrNone } = await this.#read(call);
    const object = this.#object(call);
    const field = this.#store.model.findField(object, call.params.field ?? '');
    if (!field || !(field.externalId || field.idLookup)) {
      const message = `Provided external ID field does not exist or is not accessible: ${call.params.field}`;
      throw restError(404, 'NOT_FOUND', message);
    }
    const skipped = field.name === 'Id' ? ['attributes', 'id'] : ['attributes'];
    const runs = this.#runs(records, () => object.name, skipped, field);
    return this.#save({ call, operation: 'upsert', allOrNone, externalIdField: field }, runs);
  }

  remove(call: Call): Reply {
    const ids = (call.query.get('ids') ?? '').split(',').filter((id) => id !== '');
    checkSize(ids.length);
    const runs = inRuns(
      ids.map((id) => ({
        object: this.#store.model.byKeyPrefix(id.slice(0, 3)),
        draft: { fields: [], values: [], faults: malformed(id), id },
      })),
    );
    return this.#save({ call, operation: 'delete', allOrNone: call.query.get('allOrNone') === 'true' }, runs);
  }

  /** POST `{ids, fields}`: several records by id, null for those that are not there. */
  async retrieve(call: Call): Promise<Reply> {
    const { ids, fields } = await readJson(call);
    return this.#retrieve(call, strings(ids), strings(fields));
  }

  retrieveByQuery(call: Call): Reply {
    const list = (name: string): string[] =>
      (call.query.get(name) ?? '').split(',').filter((part) => part !== '');
    return this.#retrieve(call, list('ids'), list('fields'));
  }

  #retrieve(call: Call, ids: readonly string[], fields: readonly string[]): Reply {
    const object = this.#object(call);
    const records = ids.map((id): Json => {
      const located = this.#store.locate(object, id);
      if (!located?.table.exists(located.serial)) {
        return null;
      }
      const plain = this.#store.toPlain(object, located.serial);
      const url = `/services/data/v${call.version}/sobjects/${object.name}/${plain.Id}`;
      const chosen = Object.fromEntries(fields.map((name) => [name, plain[name] ?? null]));
      return { attributes: { type: object.name, url }, ...chosen };
    });
    return json(200, records);
  }

  #object(call: Call): ObjectModel {
    const object = this.#store.model.find(call.params.object ?? '');
    if (!object) {
      throw restError(404, 'NOT_FOUND', 'The requested resource does not exist');
    }
    return object;
  }

  async #read(call: Call): Promise<{ records: JsonObject[]; allOrNone: boolean }> {
    const body = await readJson(call);
    const records = Array.isArray(body.records) ? body.records.filter(isJsonObject) : [];
    checkSize(records.length);
    return { records, allOrNone: body.allOrNone === true };
  }

  #runs(
    records: readonly JsonObject[],
    type: (record: JsonObject) => string,
    skipped: readonly string[],
    key?: Field,
  ): Run[] {
    const runs = inRuns(
      records.map((record) => {
        const object = this.#store.model.find(type(record));
        return { object, draft: this.#draft(object, type(record), record, skipped, key) };
      }),
    );
    if (runs.length > MOST_RUNS) {
      throw restError(400, 'LIMIT_EXCEEDED', `Chunks of different types: more than ${MOST_RUNS} in one call`);
    }
    return runs;
  }

  #draft(
    object: ObjectModel | undefined,
    type: string,
    record: JsonObject,
    skipped: readonly string[],
    key: Field | undefined,
  ): Draft {
    const empty = { fields: [], values: [] };
    if (!object || object.writable === false) {
      return { ...empty, faults: [rowFault('INVALID_TYPE', `sObject type '${type}' is not supported.`)] };
    }
    try {
      const draft = draftOf(this.#store, object, record, skipped);
      const id = valueNamed(record, 'id');
      const keyValue = key && valueNamed(record, key.name);
      return {
        ...draft,
        ...(id === undefined ? {} : { id: String(id) }),
        ...(keyValue === undefined || keyValue === null ? {} : { key: String(keyValue) }),
      };
    } catch (error) {
      if (!(error instanceof BadValue)) {
        throw error;
      }
      if (this.#settings.collectionsBadValue === 'call') {
        throw restError(400, 'JSON_PARSER_ERROR', error.message);
      }
      return { ...empty, faults: [rowFault('JSON_PARSER_ERROR', error.message)] };
    }
  }

  #save(saving: Saving, runs: readonly Run[]): Reply {
    const undo: Undo[] = [];
    const outcomes = runs.flatMap(({ object, drafts }) => this.#saveRun(saving, object, drafts, undo));
    const isFailed = outcomes.some((outcome) => 'faults' in outcome);
    const final = saving.allOrNone && isFailed ? rolledBack(outcomes, undo) : outcomes;
    return json(
      200,
      final.map((outcome) => answerTo(outcome, saving.operation)),
    );
  }

  #saveRun(
    saving: Saving,
    object: ObjectModel | undefined,
    drafts: readonly Draft[],
    undo: Undo[],
  ): Outcome[] {
    if (!object) {
      const fault = rowFault('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id');
      return drafts.map(({ faults, id = '' }) => ({ faults: faults.length > 0 ? faults : [fault], id }));
    }
    const ownerId =
      saving.operation === 'delete'
        ? undefined
        : assignedOwner(object, saving.call.headers['sforce-auto-assign']);
    const { operation, externalIdField } = saving;
    return this.#saver.save(
      { api: 'collections', object, operation, externalIdField, ownerId },
      drafts,
      undo,
    );
  }
}

function inRuns(records: readonly { object: ObjectModel | undefined; draft: Draft }[]): Run[] {
  const runs: Run[] = [];
  for (const { object, draft } of records) {
    const last = runs.at(-1);
    if (last && last.object === object) {
      last.drafts.push(draft);
    } else {
      runs.push({ object, drafts: [draft] });
    }
  }
  return runs;
}

function checkSize(count: number): void {
  if (count === 0) {
    throw restError(400, 'REQUIRED_FIELD_MISSING', 'At least 1 record is required');
  }
  if (count > LARGEST_CALL) {
    const message = `record limit reached. cannot submit more than ${LARGEST_CALL} records into this call`;
    throw restError(400, 'EXCEEDED_ID_LIMIT', message);
  }
}

const malformed = (id: string): Draft['faults'] =>
  /^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$/.test(id) ? [] : [rowFault('MALFORMED_ID', `malformed id ${id}`)];

const strings = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

function typeOf(record: JsonObject): string {
  return isJsonObject(record.attributes) ? String(record.attributes.type ?? '') : '';
}

function valueNamed(record: JsonObject, name: string): unknown {
  return Object.entries(record).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}

/** `statusCode`, not `errorCode`; a failed record has no id, but for a delete, which names the one it was given. */
function answerTo(outcome: Outcome, operation: Operation): Json {
  if ('saved' in outcome) {
    const { id, created } = outcome.saved;
    return { id, success: true, errors: [], ...(operation === 'upsert' ? { created } : {}) };
  }
  const errors = outcome.faults.map(({ code, message, fields }) => ({ statusCode: code, message, fields }));
  return { ...(operation === 'delete' ? { id: outcome.id } : {}), success: false, errors };
}
