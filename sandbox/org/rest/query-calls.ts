import type { Store } from '../data/store.ts';
import { jsonValue } from '../data/values.ts';
import { type Call, json, notFound, type Reply, restError } from '../http/reply.ts';
import type { Json } from '../json.ts';
import type { Field, ObjectModel } from '../model/types.ts';
import { parseSoql, type Soql, type SoqlCondition, SoqlError } from './soql.ts';

const PAGE = 2000;
/** Results that wait for their next page; the oldest are dropped. */
const CURSORS = 10;

/** A field, perhaps of a parent: `Account.External_Id__c`. */
interface Path {
  relationship?: { field: Field; name: string };
  names: readonly string[];
  name: string;
}

interface Cursor {
  soql: Soql;
  object: ObjectModel;
  serials: number[];
}

/** GET query and its further pages. */
export class QueryCalls {
  readonly #store: Store;
  readonly #cursors = new Map<string, Cursor>();
  #count = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  query(call: Call): Reply {
    const soql = parsed(call.query.get('q') ?? '');
    const object = this.#store.model.find(soql.object);
    if (!object) {
      const message = `sObject type '${soql.object}' is not supported.`;
      throw restError(400, 'INVALID_TYPE', message);
    }
    for (const name of [...soql.fields, ...soql.conditions.map((condition) => condition.field)]) {
      this.#path(object, name);
    }
    if (call.query.get('columns') === 'true') {
      return json(200, this.#columns(object, soql.fields));
    }
    const serials = this.#select(object, soql);
    if (soql.isCount) {
      return json(200, { totalSize: serials.length, done: true, records: [] });
    }
    this.#count++;
    const id = `01gak000000${String(this.#count).padStart(4, '0')}AAA`;
    return this.#page(call, id, { soql, object, serials }, 0);
  }

  /** `columns=true`: what the query would answer, as the Salesforce CLI asks before it prints a table. */
  #columns(object: ObjectModel, fields: readonly string[]): Json {
    const columnMetadata = fields.map((columnName) => ({
      aggregate: false,
      columnName,
      custom: columnName.endsWith('__c'),
      displayName: columnName,
      joinColumns: [],
    }));
    return {
      columnMetadata,
      entityName: object.name,
      groupBy: false,
      idSelected: true,
      keyPrefix: object.keyPrefix,
    };
  }

  more(call: Call): Reply {
    const [id = '', from = '0'] = (call.params.locator ?? '').split('-');
    const cursor = this.#cursors.get(id);
    if (!cursor) {
      throw notFound();
    }
    return this.#page(call, id, cursor, Number(from));
  }

  #page(call: Call, id: string, cursor: Cursor, from: number): Reply {
    const { serials, object, soql } = cursor;
    const next = from + PAGE;
    const isDone = next >= serials.length;
    const records = serials
      .slice(from, next)
      .map((serial) => this.#record(call, object, soql.fields, serial));
    if (isDone) {
      this.#cursors.delete(id);
      return json(200, { totalSize: serials.length, done: true, records });
    }
    this.#remember(id, cursor);
    const nextRecordsUrl = `/services/data/v${call.version}/query/${id}-${next}`;
    return json(200, { totalSize: serials.length, done: false, nextRecordsUrl, records });
  }

  #remember(id: string, cursor: Cursor): void {
    this.#cursors.set(id, cursor);
    for (const oldest of this.#cursors.keys()) {
      if (this.#cursors.size <= CURSORS) {
        return;
      }
      this.#cursors.delete(oldest);
    }
  }

  #select(object: ObjectModel, soql: Soql): number[] {
    const tests = soql.conditions.map((condition) => this.#test(object, condition));
    const found: number[] = [];
    for (const serial of this.#candidates(object, soql.conditions)) {
      if (found.length >= soql.limit && !soql.orderBy) {
        break;
      }
      if (tests.every((test) => test(serial))) {
        found.push(serial);
      }
    }
    return soql.orderBy ? this.#ordered(object, found, soql.orderBy).slice(0, soql.limit) : found;
  }

  #ordered(
    object: ObjectModel,
    serials: number[],
    { field, isDescending }: NonNullable<Soql['orderBy']>,
  ): number[] {
    const path = this.#path(object, field);
    const keyed = serials.map((serial) => ({ serial, key: this.#stored(object, path, serial) ?? '' }));
    const sign = isDescending ? -1 : 1;
    return keyed.sort((a, b) => sign * compare(a.key, b.key)).map(({ serial }) => serial);
  }

  /** Records that can match: by an index where a condition allows it, else all. */
  #candidates(object: ObjectModel, conditions: readonly SoqlCondition[]): Iterable<number> {
    const table = this.#store.table(object);
    for (const { field: name, operator, values } of conditions) {
      const field = this.#store.model.findField(object, name);
      const isEquality = operator === '=' || operator === 'IN';
      if (!field || !isEquality) {
        continue;
      }
      if (field.name === 'Id') {
        const located = values.map((value) => this.#store.locate(object, value ?? ''));
        return located.flatMap((place) => (place && table.exists(place.serial) ? [place.serial] : []));
      }
      if (field.unique || field.externalId) {
        return [...new Set(values.flatMap((value) => (value === null ? [] : table.find(field, value))))];
      }
    }
    return table.serials();
  }

  #test(object: ObjectModel, { field: name, operator, values }: SoqlCondition): (serial: number) => boolean {
    const path = this.#path(object, name);
    const wanted = values.map((value) => value?.toLowerCase() ?? null);
    const [first = null] = wanted;
    return (serial) => {
      const actual = this.#stored(object, path, serial)?.toLowerCase() ?? null;
      switch (operator) {
        case '=':
        case 'IN':
          return wanted.some((value) => isEqual(actual, value));
        case '!=':
        case 'NOT IN':
          return !wanted.some((value) => isEqual(actual, value));
        case 'LIKE':
          return actual !== null && likePattern(first ?? '').test(actual);
        default:
          return actual !== null && first !== null && ORDERS[operator](compare(actual, first));
      }
    };
  }

  #path(object: ObjectModel, name: string): Path {
    const { model } = this.#store;
    const [first = '', second, ...more] = name.split('.');
    if (second === undefined) {
      const field = model.findField(object, first);
      if (!field) {
        throw noColumn(name, object);
      }
      return { names: [field.name], name: field.name };
    }
    const field = model.findRelationship(object, first);
    const parent = field && (field.referenceTo ?? []).map((target) => model.get(target));
    const key = parent?.map((each) => model.findField(each, second)).find((each) => each !== undefined);
    if (!field || !key || more.length > 0) {
      throw noColumn(name, object);
    }
    return {
      relationship: { field, name: field.relationshipName ?? first },
      names: [first, key.name],
      name: key.name,
    };
  }

  #stored(object: ObjectModel, path: Path, serial: number): string | null {
    const owner = this.#owner(object, path, serial);
    const field = owner && this.#store.model.findField(owner.object, path.name);
    return owner && field ? this.#store.read(owner.object, owner.serial, field) : null;
  }

  /** The record that has the field: this one, or its parent. */
  #owner(
    object: ObjectModel,
    path: Path,
    serial: number,
  ): { object: ObjectModel; serial: number } | undefined {
    if (!path.relationship) {
      return { object, serial };
    }
    const id = this.#store.read(object, serial, path.relationship.field) ?? '';
    const parent = this.#store.model.byKeyPrefix(id.slice(0, 3));
    const located = parent && this.#store.locate(parent, id);
    return parent && located ? { object: parent, serial: located.serial } : undefined;
  }

  #record(call: Call, object: ObjectModel, fields: readonly string[], serial: number): Json {
    const record: { [key: string]: Json } = {
      attributes: attributes(call, object, this.#store.idOf(object, serial)),
    };
    for (const name of fields) {
      const path = this.#path(object, name);
      const owner = this.#owner(object, path, serial);
      const field = owner && this.#store.model.findField(owner.object, path.name);
      const value =
        owner && field ? jsonValue(field, this.#store.read(owner.object, owner.serial, field)) : null;
      if (!path.relationship) {
        record[path.name] = value;
        continue;
      }
      const known = record[path.relationship.name];
      const parent = owner
        ? { attributes: attributes(call, owner.object, this.#store.idOf(owner.object, owner.serial)) }
        : {};
      record[path.relationship.name] = owner ? { ...parent, ...(known as object), [path.name]: value } : null;
    }
    return record;
  }
}

const ORDERS: Record<'<' | '<=' | '>' | '>=', (order: number) => boolean> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

const attributes = (call: Call, object: ObjectModel, id: string): Json => ({
  type: object.name,
  url: `/services/data/v${call.version}/sobjects/${object.name}/${id}`,
});

function noColumn(name: string, object: ObjectModel): Error {
  return restError(400, 'INVALID_FIELD', `No such column '${name}' on sobject of type ${object.name}`);
}

function parsed(text: string): Soql {
  try {
    return parseSoql(text);
  } catch (error) {
    throw error instanceof SoqlError ? restError(400, 'MALFORMED_QUERY', error.message) : error;
  }
}

const isIdText = (text: string): boolean => /^[a-z0-9]{15}([a-z0-9]{3})?$/.test(text);
const isTime = (text: string): boolean => /^\d{4}-\d{2}-\d{2}t/.test(text);
const isNumeric = (text: string): boolean => text !== '' && !Number.isNaN(Number(text));

function isEqual(actual: string | null, wanted: string | null): boolean {
  if (actual === null || wanted === null) {
    return actual === wanted;
  }
  const isShortId = isIdText(actual) && isIdText(wanted) && Math.min(actual.length, wanted.length) === 15;
  return isShortId ? actual.slice(0, 15) === wanted.slice(0, 15) : compare(actual, wanted) === 0;
}

/** Times as moments, numbers as numbers, all else as text. */
function compare(a: string, b: string): number {
  if (isTime(a) && isTime(b)) {
    return moment(a) - moment(b);
  }
  if (isNumeric(a) && isNumeric(b)) {
    return Number(a) - Number(b);
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

const moment = (text: string): number =>
  Date.parse(text.toUpperCase().replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));

function likePattern(text: string): RegExp {
  const escaped = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('%', '.*').replaceAll('_', '.')}$`, 's');
}
