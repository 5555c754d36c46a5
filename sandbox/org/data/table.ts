import type { DuplicateRule, Field, ObjectModel } from '../model/types.ts';
import { hash53 } from '../random.ts';

/** A value to store: null is an explicit null, undefined was not given. */
export type Value = string | null | undefined;

const SEPARATOR = '\u0000';
const EXPLICIT_NULL = '\u0001';

type Serials = number | number[];

/** A copy that does not keep the large text alive of which the parser cut this value. */
const detached = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

/**
 * The records of one object. Millions fit: a record is one packed text of the columns that it was given, the names of
 * which (its shape) it shares with all records loaded the same way; its id is its serial number.
 */
export class Table {
  readonly model: ObjectModel;
  readonly #shapes: string[][] = [];
  readonly #shapeNumbers = new Map<string, number>();
  /** All records of a job share one list of fields. */
  readonly #shapesOfLists = new WeakMap<readonly Field[], number>();
  #texts: (string | undefined)[] = [];
  #shapeOf: number[] = [];
  #created: number[] = [];
  #modified: number[] = [];
  readonly #deleted = new Set<number>();
  readonly #indexes = new Map<string, Map<string, Serials>>();
  readonly #duplicates = new Map<DuplicateRule, Map<number, number>>();
  #live = 0;

  constructor(model: ObjectModel) {
    this.model = model;
  }

  /** Records that exist and are not deleted. */
  get size(): number {
    return this.#live;
  }

  /** Serial numbers handed out so far; the next record gets this one. */
  get end(): number {
    return this.#texts.length;
  }

  exists(serial: number): boolean {
    return this.#texts[serial] !== undefined && !this.#deleted.has(serial);
  }

  isDeleted(serial: number): boolean {
    return this.#deleted.has(serial);
  }

  created(serial: number): number {
    return this.#created[serial] ?? 0;
  }

  modified(serial: number): number {
    return this.#modified[serial] ?? 0;
  }

  /** Stores a record and returns its serial number. */
  insert(fields: readonly Field[], values: readonly Value[], now: number): number {
    const serial = this.#texts.length;
    this.#shapeOf.push(this.#shapeNumber(fields));
    this.#texts.push(pack(values));
    this.#created.push(now);
    this.#modified.push(now);
    this.#live++;
    for (let i = 0; i < fields.length; i++) {
      const value = values[i];
      if (value) {
        this.#index(fields[i] as Field, value, serial);
      }
    }
    return serial;
  }

  /** Changes the given values of a record; undefined ones stay as they are. */
  update(serial: number, fields: readonly Field[], values: readonly Value[], now: number): void {
    const stored = this.#stored(serial);
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Field;
      const value = values[i];
      if (value === undefined) {
        continue;
      }
      const before = stored.get(field.name);
      if (before) {
        this.#unindex(field, before, serial);
      }
      stored.set(field.name, value);
      if (value) {
        this.#index(field, value, serial);
      }
    }
    this.#write(serial, stored);
    this.#modified[serial] = now;
  }

  delete(serial: number): void {
    this.#deleted.add(serial);
    this.#live--;
    this.#unindexAll(serial);
  }

  /** Takes a record out as if it had never been (a transaction rolled back). */
  purge(serial: number): void {
    this.#unindexAll(serial);
    this.#texts[serial] = undefined;
    this.#live--;
  }

  /** What is stored of a record, to put back later. */
  snapshot(serial: number): Map<string, Value> {
    return this.#stored(serial);
  }

  /** Puts a record back to a snapshot, also after a delete. */
  restore(serial: number, snapshot: Map<string, Value>, fieldOf: (name: string) => Field | undefined): void {
    if (this.#deleted.delete(serial)) {
      this.#live++;
    } else {
      this.#unindexAll(serial);
    }
    this.#write(serial, snapshot);
    for (const [name, value] of snapshot) {
      const field = fieldOf(name);
      if (field && value) {
        this.#index(field, value, serial);
      }
    }
  }

  /** The stored value of a field, null when there is none; defaults are the caller's affair. */
  value(serial: number, fieldName: string): Value {
    const shape = this.#shapes[this.#shapeOf[serial] ?? -1];
    const text = this.#texts[serial];
    const column = shape?.indexOf(fieldName) ?? -1;
    if (column === -1 || text === undefined) {
      return undefined;
    }
    return unpack(text)[column];
  }

  /** Serial numbers of the records with this value in an indexed field. */
  find(field: Field, value: string): number[] {
    const found = this.#indexes.get(field.name)?.get(indexKey(field, value));
    return found === undefined ? [] : typeof found === 'number' ? [found] : [...found];
  }

  /** The record that a duplicate rule sees as the same one. The match is by a hash of 53 bits. */
  findDuplicate(rule: DuplicateRule, read: (field: string) => Value): number | undefined {
    const key = duplicateKey(rule, read);
    const serial = key === undefined ? undefined : this.#duplicates.get(rule)?.get(key);
    return serial !== undefined && this.exists(serial) ? serial : undefined;
  }

  /** Remembers a record for its object's duplicate rules. */
  rememberForDuplicates(serial: number, read: (field: string) => Value): void {
    for (const rule of this.model.duplicateRules ?? []) {
      const key = duplicateKey(rule, read);
      if (key === undefined) {
        continue;
      }
      const seen = this.#duplicates.get(rule) ?? new Map<number, number>();
      seen.set(key, serial);
      this.#duplicates.set(rule, seen);
    }
  }

  /** Serial numbers of all live records, in the order of insertion. */
  *serials(): Iterable<number> {
    for (let serial = 0; serial < this.#texts.length; serial++) {
      if (this.exists(serial)) {
        yield serial;
      }
    }
  }

  #stored(serial: number): Map<string, Value> {
    const shape = this.#shapes[this.#shapeOf[serial] ?? -1] ?? [];
    const values = unpack(this.#texts[serial] ?? '');
    return new Map(shape.map((name, column) => [name, values[column]]));
  }

  #write(serial: number, stored: Map<string, Value>): void {
    const names = [...stored.keys()];
    this.#shapeOf[serial] = this.#shapeNumberOf(names);
    this.#texts[serial] = pack([...stored.values()]);
  }

  #shapeNumber(fields: readonly Field[]): number {
    const known = this.#shapesOfLists.get(fields);
    if (known !== undefined) {
      return known;
    }
    const shape = this.#shapeNumberOf(fields.map((field) => field.name));
    this.#shapesOfLists.set(fields, shape);
    return shape;
  }

  #shapeNumberOf(names: string[]): number {
    const key = names.join(SEPARATOR);
    const known = this.#shapeNumbers.get(key);
    if (known !== undefined) {
      return known;
    }
    this.#shapes.push(names);
    this.#shapeNumbers.set(key, this.#shapes.length - 1);
    return this.#shapes.length - 1;
  }

  #index(field: Field, value: string, serial: number): void {
    if (!isIndexed(field)) {
      return;
    }
    const index = this.#indexes.get(field.name) ?? new Map<string, Serials>();
    this.#indexes.set(field.name, index);
    const key = indexKey(field, value);
    const found = index.get(key);
    if (found === undefined) {
      index.set(detached(key), serial);
    } else if (typeof found === 'number') {
      index.set(key, [found, serial]);
    } else {
      found.push(serial);
    }
  }

  #unindex(field: Field, value: string, serial: number): void {
    const index = this.#indexes.get(field.name);
    const key = indexKey(field, value);
    const found = index?.get(key);
    const rest = (typeof found === 'object' ? found : [found]).filter((other) => other !== serial);
    if (rest.length === 0 || rest[0] === undefined) {
      index?.delete(key);
    } else {
      index?.set(key, rest.length === 1 ? rest[0] : rest.filter((other) => other !== undefined));
    }
  }

  #unindexAll(serial: number): void {
    const stored = this.#stored(serial);
    for (const field of this.model.fields) {
      const value = stored.get(field.name);
      if (value && isIndexed(field)) {
        this.#unindex(field, value, serial);
      }
    }
  }
}

const isIndexed = (field: Field): boolean =>
  field.unique === true || field.externalId === true || field.idLookup === true;

const indexKey = (field: Field, value: string): string => (field.caseSensitive ? value : value.toLowerCase());

function duplicateKey(rule: DuplicateRule, read: (field: string) => Value): number | undefined {
  const values = rule.fields.map((field) => read(field)?.toLowerCase() ?? '');
  return values.some((value) => value === '') ? undefined : hash53(values.join(SEPARATOR));
}

function pack(values: readonly Value[]): string {
  return detached(values.map(packed).join(SEPARATOR));
}

/** NUL separates packed values, so it is dropped from inside one; no field type keeps it. */
function packed(value: Value): string {
  if (!value) {
    return value === null ? EXPLICIT_NULL : '';
  }
  return value.includes(SEPARATOR) ? value.replaceAll(SEPARATOR, '') : value;
}

function unpack(text: string): Value[] {
  return text
    .split(SEPARATOR)
    .map((value) => (value === EXPLICIT_NULL ? null : value === '' ? undefined : value));
}
