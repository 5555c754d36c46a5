import { makeId, normaliseId, serialOf } from '../ids.ts';
import type { OrgModel } from '../model/model.ts';
import type { Field, ObjectModel } from '../model/types.ts';
import { Table, type Value } from './table.ts';
import { jsonValue } from './values.ts';

export type PlainRecord = Record<string, string | number | boolean | null>;

/** Where a record is. */
export interface Located {
  table: Table;
  serial: number;
}

/** All records of the org. */
export class Store {
  readonly model: OrgModel;
  /** The user that the API acts as: owner of what is created. */
  readonly userId: string;
  readonly #tables = new Map<string, Table>();

  constructor(model: OrgModel, userId: string) {
    this.model = model;
    this.userId = userId;
  }

  table(object: ObjectModel): Table {
    const table = this.#tables.get(object.name) ?? new Table(object);
    this.#tables.set(object.name, table);
    return table;
  }

  /** Records stored in all objects together, as the storage limit counts them. */
  get size(): number {
    return [...this.#tables.values()].reduce((sum, table) => sum + table.size, 0);
  }

  clear(): void {
    this.#tables.clear();
  }

  idOf(object: ObjectModel, serial: number): string {
    return makeId(object.keyPrefix, serial + 1);
  }

  /** The record with this id, also when it is deleted; undefined when the id is none of this object's. */
  locate(object: ObjectModel, id: string): Located | undefined {
    const id18 = normaliseId(id);
    const serial = id18?.startsWith(object.keyPrefix) ? serialOf(id18) : undefined;
    const table = this.table(object);
    const known = serial !== undefined && serial >= 1 && serial <= table.end;
    return known && (table.exists(serial - 1) || table.isDeleted(serial - 1))
      ? { table, serial: serial - 1 }
      : undefined;
  }

  /** The name of the object to which an id belongs, by its key prefix. */
  typeOfId(id: string): string | undefined {
    return this.model.byKeyPrefix(id.slice(0, 3))?.name;
  }

  /** The value of a field in its stored form, with defaults and system fields. */
  read(object: ObjectModel, serial: number, field: Field): string | null {
    const table = this.table(object);
    switch (field.name) {
      case 'Id':
        return this.idOf(object, serial);
      case 'IsDeleted':
        return String(table.isDeleted(serial));
      case 'CreatedDate':
        return new Date(table.created(serial)).toISOString();
      case 'LastModifiedDate':
      case 'SystemModstamp':
        return new Date(table.modified(serial)).toISOString();
      case 'CreatedById':
      case 'LastModifiedById':
        return this.userId;
      default:
        return this.#readStored(object, serial, field);
    }
  }

  #readStored(object: ObjectModel, serial: number, field: Field): string | null {
    if (field.type === 'compound') {
      return this.#compoundName(object, serial);
    }
    const value: Value = this.table(object).value(serial, field.name);
    if (value !== undefined) {
      return value;
    }
    return field.defaultValue === '$user' ? this.userId : (field.defaultValue ?? null);
  }

  #compoundName(object: ObjectModel, serial: number): string | null {
    const table = this.table(object);
    const parts = ['FirstName', 'LastName']
      .map((name) => table.value(serial, name) ?? '')
      .filter((part) => part !== '');
    return parts.length > 0 ? parts.join(' ') : null;
  }

  /** A record as plain JSON values, Id and system fields included. */
  toPlain(object: ObjectModel, serial: number): PlainRecord {
    return Object.fromEntries(
      this.model
        .fieldsOf(object)
        .map((field) => [field.name, jsonValue(field, this.read(object, serial, field))]),
    );
  }
}
