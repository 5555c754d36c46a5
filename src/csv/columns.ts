import { types } from 'node:util';
import { LoadError } from '../errors.ts';
import type { SourceRecord } from '../record.ts';
import { COLUMNS, formatCount, HEADER_CHARACTERS } from './limits.ts';

const BYTE_ORDER_MARK = '\uFEFF';

/**
 * A nested object that names a parent by one of its fields (`{Account: {External_Id__c: 'A1'}}`), as opposed to a value.
 * Records made in a function node come from another realm, so prototypes are compared by what they are, not which.
 */
export function isParentReference(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (types.isDate(value) || types.isUint8Array(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * A record with its parent references as columns: `{Account: {External_Id__c: 'A1'}}` becomes `Account.External_Id__c`.
 * Keys are otherwise taken as they are, `Type:Rel.Field` of polymorphic references included. Salesforce follows a reference
 * one level up and no further (reference §4).
 *
 * @throws LoadError RECORD_INVALID for an object within a parent reference
 */
export function flatten(record: SourceRecord): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (const [name, value] of Object.entries(record)) {
    if (isParentReference(value)) entries.push(...parentColumns(name, value));
    else entries.push([name, value]);
  }
  return Object.fromEntries(entries);
}

/** The columns of one parent reference, with their values. @throws LoadError RECORD_INVALID */
export function parentColumns(relationship: string, parent: Record<string, unknown>): [string, unknown][] {
  return Object.entries(parent).map(([field, value]) => {
    const column = `${relationship}.${field}`;
    if (isParentReference(value)) {
      throw new LoadError(
        'RECORD_INVALID',
        `${column} is an object within a parent reference: Salesforce finds a parent by a field of its own, one level up.`,
      );
    }
    return [column, value];
  });
}

/** All columns of the records, parent references included, in the order in which they first appear. */
export function columnsOf(records: Iterable<SourceRecord>): string[] {
  const columns = new Set<string>();
  for (const record of records) {
    for (const name of Object.keys(flatten(record))) columns.add(name);
  }
  return [...columns];
}

/** Field names are told apart by Salesforce without regard to case, so `Name` and `NAME` are one column. */
export function fieldIdentity(name: string): string {
  return name.toLowerCase();
}

/** @throws LoadError CONFIG_INVALID when Salesforce could not read `name` as a column */
export function checkColumnName(name: string): void {
  if (name.trim() === '') {
    throw new LoadError(
      'CONFIG_INVALID',
      'A column has no name: every key of a record must be a field of the object.',
    );
  }
  if (name.includes(BYTE_ORDER_MARK)) {
    throw new LoadError(
      'CONFIG_INVALID',
      `The column ${quotedName(name.replaceAll(BYTE_ORDER_MARK, ''))} has a byte order mark in its name: have it removed where the file is read.`,
    );
  }
  if (hasControlCharacter(name)) {
    throw new LoadError(
      'CONFIG_INVALID',
      `The column ${quotedName(name)} has a control character or a line break in its name: it cannot be a field.`,
    );
  }
}

/** @throws LoadError CONFIG_INVALID for a header beyond Salesforce's limits; `header` is its line as uploaded */
export function checkHeader(columns: readonly string[], header: string): void {
  if (columns.length > COLUMNS) {
    throw new LoadError(
      'CONFIG_INVALID',
      `The records have ${formatCount(columns.length)} columns, Salesforce takes ${formatCount(COLUMNS)} in one job: ` +
        `map only the fields that are needed (the first too many is ${quotedName(columns[COLUMNS] ?? '')}).`,
    );
  }
  if (header.length > HEADER_CHARACTERS) {
    throw new LoadError(
      'CONFIG_INVALID',
      `The header of the ${formatCount(columns.length)} columns has ${formatCount(header.length)} characters, Salesforce takes ` +
        `${formatCount(HEADER_CHARACTERS)}: map only the fields that are needed.`,
    );
  }
}

/** A column name for a message: one line, of bearable length. */
export function quotedName(name: string): string {
  const shown = name.length > 80 ? `${name.slice(0, 80)}…` : name;
  return JSON.stringify(shown);
}

function hasControlCharacter(name: string): boolean {
  for (let index = 0; index < name.length; index += 1) {
    const code = name.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
