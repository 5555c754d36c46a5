import type { ParsedError } from '../parse-error.ts';
import type { DescribedField, DescribedObject } from '../rest-record.ts';

/** Lookups whose target a save does not lock: everybody points at the same few of them. */
const SHARED_TARGETS = new Set(['User', 'Group', 'RecordType', 'Profile', 'UserRole', 'BusinessHours']);

/** The lookups of an object, by field name and by relationship name. */
export type ParentLookups = ReadonlyMap<string, DescribedField>;

function locksItsTarget(field: DescribedField): boolean {
  if (field.type !== 'reference') return false;
  const targets = field.referenceTo ?? [];
  return targets.length === 0 || !targets.every((target) => SHARED_TARGETS.has(target));
}

export function parentLookups(object: DescribedObject): ParentLookups {
  const lookups = new Map<string, DescribedField>();
  for (const field of object.fields.filter(locksItsTarget)) {
    lookups.set(field.name, field);
    if (field.relationshipName) lookups.set(field.relationshipName, field);
  }
  return lookups;
}

/** Ids are compared by their first 15 characters: the rest only repeats their capitals. */
const idLock = (id: string) => id.slice(0, 15);

function nestedLocks(name: string, parent: object): string[] {
  return Object.entries(parent)
    .filter(([key]) => key !== 'attributes')
    .map(([key, value]) => `${name}.${key} ${String(value).toLowerCase()}`);
}

/**
 * The parents that saving this record locks, as names that are equal for the same parent: an id, or relationship, field
 * and value. A parent named in both ways counts as two: nobody but the org could tell.
 */
export function parentLocks(fields: Record<string, unknown>, lookups: ParentLookups): string[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (value === null || !lookups.has(name)) return [];
    return typeof value === 'object' ? nestedLocks(name, value) : [idLock(String(value))];
  });
}

const LOCKED_RECORDS = /\brecords?: ([\w, ]+)/;
const ID = /\b[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?\b/g;

/** The rows that a lock error names: `… this record or 200 records: id,id,…` (reference §6). */
export function lockedIds(error: ParsedError): string[] {
  const isLock = [error.errorCode, ...error.innerCodes].includes('UNABLE_TO_LOCK_ROW');
  const list = isLock ? LOCKED_RECORDS.exec(error.errorMessage)?.[1] : undefined;
  return (list?.match(ID) ?? []).map(idLock);
}
