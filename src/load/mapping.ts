import { checkColumnName, fieldIdentity, quotedName } from '../csv/columns.ts';
import { LoadError } from '../errors.ts';
import { isRecord, type SourceRecord } from '../record.ts';

/** One row of the mapping table: `from`, a key of the record or a dotted path into it; `to`, the Salesforce field. */
export interface Mapping {
  from: string;
  to: string;
}

/** What is to be uploaded of a record: names and values in the same order. */
export interface Fields {
  names: readonly string[];
  values: readonly unknown[];
}

export type FieldReader = (record: SourceRecord) => Fields;

/**
 * Reads a record by the mapping; an empty one takes every key as it is. With a mapping nothing else is uploaded, and what
 * `from` does not find is absent. A key that is spelt like the whole path comes before the path.
 *
 * @throws LoadError CONFIG_INVALID for a mapping that lacks a name or names a field twice
 */
export function fieldReader(mapping: readonly Mapping[]): FieldReader {
  if (mapping.length === 0)
    return (record) => ({ names: Object.keys(record), values: Object.values(record) });
  checkMapping(mapping);
  const names = mapping.map(({ to }) => to);
  const paths = mapping.map(({ from }) => ({ from, steps: from.split('.') }));
  return (record) => ({ names, values: paths.map(({ from, steps }) => valueAt(record, from, steps)) });
}

/** The record as it would be uploaded, for those that cannot be: mapped, without `sf__` columns. What is none: as `_value`. */
export function mappedRecord(read: FieldReader, record: unknown): SourceRecord {
  if (!isRecord(record)) return { _value: record };
  const { names, values } = read(record);
  const entries = names.map((name, index): [string, unknown] => [name, values[index]]);
  return Object.fromEntries(
    entries.filter(([name, value]) => !name.startsWith('sf__') && value !== undefined),
  );
}

function valueAt(record: SourceRecord, from: string, steps: readonly string[]): unknown {
  if (Object.hasOwn(record, from)) return record[from];
  let value: unknown = steps.length > 1 ? record : undefined;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as SourceRecord)[step];
  }
  return value;
}

function checkMapping(mapping: readonly Mapping[]): void {
  const fields = new Set<string>();
  for (const { from, to } of mapping) {
    if (from === '')
      throw new LoadError('CONFIG_INVALID', `mapping: the source of ${quotedName(to)} has no name.`);
    checkColumnName(to);
    if (fields.has(fieldIdentity(to))) {
      throw new LoadError('CONFIG_INVALID', `mapping: the field ${quotedName(to)} is named twice.`);
    }
    fields.add(fieldIdentity(to));
  }
}
