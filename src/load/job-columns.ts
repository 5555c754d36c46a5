import {
  checkColumnName,
  fieldIdentity,
  isParentReference,
  parentColumns,
  quotedName,
} from '../csv/columns.ts';
import { NULL_TEXT } from '../csv/encoder.ts';
import type { CsvSelection } from '../csv/recut.ts';
import { LoadError } from '../errors.ts';
import type { JobSpec } from '../job.ts';
import { isRecord, type SourceRecord } from '../record.ts';
import { type FieldReader, type Fields, fieldReader, type Mapping } from './mapping.ts';

/** Where the values of records with these keys go; -1: they are not uploaded. */
interface Plan {
  names: readonly string[];
  targets: readonly number[];
  /** Columns that a header needs for such a record: one more than the last it fills. */
  width: number;
}

const NO_PLAN: Plan = { names: [], targets: [], width: 0 };
const MOST_PLANS = 1000;

/**
 * Which columns the records of a load have, in the order in which they first appeared, and where the values of each record
 * belong. Columns are added, never moved, so a record fits every header that is wide enough.
 *
 * Not uploaded are `sf__` columns (rows of results that are loaded again), every field but `Id` for a delete, and `Id` for
 * an insert. `Id` and the external id get their API name's case whatever the record's, since Salesforce has a known issue
 * with results of other spellings (reference §1.5).
 *
 * A parent reference that is null stands for its columns. When nothing but null was seen of it (neither in an earlier record
 * nor in the batch), a name with `__r` is left out, and any other is taken for a field: there only a mapping tells.
 */
export class JobColumns {
  /** May grow with `place`. */
  readonly names: string[] = [];
  /** Values of the record placed last, in the order of `names`. */
  readonly values: unknown[] = [];
  /** The field that every record must have: `Id`, the external id, or none. */
  readonly keyField: string | undefined;

  readonly #spec: JobSpec;
  readonly #mapping: readonly Mapping[];
  readonly #read: FieldReader;
  readonly #indexes = new Map<string, number>();
  readonly #parents = new Map<string, Set<string>>();
  readonly #plans = new Map<string, Plan>();
  #plan: Plan = NO_PLAN;
  #kept = 0;

  /** @throws LoadError CONFIG_INVALID naming the property */
  constructor(spec: JobSpec, mapping: readonly Mapping[]) {
    this.#spec = spec;
    this.#mapping = mapping;
    this.#read = fieldReader(mapping);
    this.keyField = keyFieldOf(spec);
  }

  /**
   * Puts the record's values into `values`; returns how many columns a header needs for it. `batch`: the records that it
   * came with. New columns are provisional until `keep()`.
   *
   * @throws LoadError RECORD_INVALID naming the field; CONFIG_INVALID for a key that cannot be a column
   */
  place(record: SourceRecord, batch: readonly SourceRecord[]): number {
    const fields = this.#fieldsOf(record, batch);
    if (!sameNames(fields.names, this.#plan.names)) this.#plan = this.#planFor(fields.names);
    const { targets, width } = this.#plan;
    this.values.length = this.names.length;
    this.values.fill(undefined);
    for (let index = 0; index < targets.length; index += 1) {
      const target = targets[index] as number;
      if (target >= 0) this.values[target] = fields.values[index];
    }
    this.#checkKey();
    if (width === 0) throw new LoadError('RECORD_INVALID', 'The record has no field that can be sent.');
    return width;
  }

  /** The record placed last is uploaded, so its columns stay. */
  keep(): void {
    this.#kept = this.names.length;
  }

  /** The record placed last is not uploaded: a column that only it has must not spoil the jobs of others. */
  undo(): void {
    if (this.names.length === this.#kept) return;
    for (const name of this.names.splice(this.#kept)) this.#indexes.delete(fieldIdentity(name));
    this.#plans.clear();
    this.#plan = NO_PLAN;
  }

  /**
   * What of a CSV file with this header is uploaded. A mapping chooses and renames columns, as it does for records.
   *
   * @throws LoadError CONFIG_INVALID for a header that lacks a column of the mapping or the key, or names a field twice
   */
  select(header: readonly string[]): CsvSelection {
    const columns: string[] = [];
    const sources: number[] = [];
    for (const { name, source } of this.#candidates(header)) {
      const column = this.#columnFor(name);
      if (column === undefined) continue;
      checkColumnName(column);
      if (columns.some((known) => fieldIdentity(known) === fieldIdentity(column))) {
        throw new LoadError(
          'CONFIG_INVALID',
          `The header of the CSV names the field ${quotedName(column)} twice.`,
        );
      }
      columns.push(column);
      sources.push(source);
    }
    if (this.keyField !== undefined && !columns.includes(this.keyField)) throw this.#noKeyColumn();
    if (columns.length === 0)
      throw new LoadError('CONFIG_INVALID', 'The CSV has no column that can be sent.');
    return { columns, sources, keyColumn: this.keyField };
  }

  #candidates(header: readonly string[]): { name: string; source: number }[] {
    if (this.#mapping.length === 0) return header.map((name, source) => ({ name, source }));
    return this.#mapping.map(({ from, to }) => {
      const source = header.indexOf(from);
      if (source === -1) {
        throw new LoadError(
          'CONFIG_INVALID',
          `The CSV has no column ${quotedName(from)}, which the mapping names.`,
        );
      }
      return { name: to, source };
    });
  }

  #fieldsOf(record: SourceRecord, batch: readonly SourceRecord[]): Fields {
    if (!isRecord(record)) {
      throw new LoadError('RECORD_INVALID', 'The record is no object with a field for each key.');
    }
    const fields = this.#read(record);
    if (this.#sendsOnlyId) return onlyId(fields);
    if (!sameNames(fields.names, this.#plan.names)) this.#lookAhead(fields, batch);
    return this.#hasParents(fields) ? this.#expand(fields) : fields;
  }

  get #sendsOnlyId(): boolean {
    return this.#spec.operation === 'delete' || this.#spec.operation === 'hardDelete';
  }

  /** The name under which a field is uploaded; undefined when it is not. */
  #columnFor(name: string): string | undefined {
    if (name.startsWith('sf__')) return undefined;
    const identity = fieldIdentity(name);
    if (identity === 'id') return this.#spec.operation === 'insert' ? undefined : 'Id';
    if (this.#sendsOnlyId) return undefined;
    const { externalIdField } = this.#spec;
    return externalIdField !== null && identity === fieldIdentity(externalIdField) ? externalIdField : name;
  }

  #planFor(names: readonly string[]): Plan {
    const key = JSON.stringify(names);
    const known = this.#plans.get(key);
    if (known) return known;
    const targets = names.map((name) => this.#targetOf(name));
    this.#checkUnique(names, targets);
    if (this.#plans.size >= MOST_PLANS) this.#plans.clear();
    const plan = { names, targets, width: Math.max(0, ...targets.map((target) => target + 1)) };
    this.#plans.set(key, plan);
    return plan;
  }

  #targetOf(name: string): number {
    const column = this.#columnFor(name);
    if (column === undefined) return -1;
    const identity = fieldIdentity(column);
    const known = this.#indexes.get(identity);
    if (known !== undefined) return known;
    checkColumnName(column);
    this.#indexes.set(identity, this.names.length);
    return this.names.push(column) - 1;
  }

  #checkUnique(names: readonly string[], targets: readonly number[]): void {
    const seen = new Map<number, string>();
    targets.forEach((target, index) => {
      const name = names[index] ?? '';
      const other = seen.get(target);
      if (target >= 0 && other !== undefined) {
        throw new LoadError(
          'RECORD_INVALID',
          `The keys ${quotedName(other)} and ${quotedName(name)} are one field to Salesforce.`,
        );
      }
      seen.set(target, name);
    });
  }

  #checkKey(): void {
    if (this.keyField === undefined) return;
    const index = this.#indexes.get(fieldIdentity(this.keyField));
    const value = index === undefined ? undefined : this.values[index];
    if (value !== undefined && value !== null && value !== '' && value !== NULL_TEXT) return;
    throw new LoadError(
      'RECORD_INVALID',
      `The record has no ${this.keyField}: an ${this.#spec.operation} needs one.`,
    );
  }

  #noKeyColumn(): LoadError {
    return new LoadError(
      'CONFIG_INVALID',
      `The CSV has no column ${this.keyField}: ${this.#spec.operation} needs it in every record.`,
    );
  }

  #hasParents({ names, values }: Fields): boolean {
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      if (value === null || value === undefined) {
        if (this.#standsForParent(names[index] as string)) return true;
      } else if (typeof value === 'object' && isParentReference(value)) return true;
    }
    return false;
  }

  #standsForParent(name: string): boolean {
    return this.#parents.has(name) || name.endsWith('__r');
  }

  #expand({ names, values }: Fields): Fields {
    const entries = names.flatMap((name, index): [string, unknown][] => {
      const value = values[index];
      if (isParentReference(value)) {
        this.#learnParent(name, value);
        return parentColumns(name, value);
      }
      if ((value !== null && value !== undefined) || !this.#standsForParent(name)) return [[name, value]];
      return [...(this.#parents.get(name) ?? [])].map((column) => [column, value]);
    });
    return { names: entries.map(([name]) => name), values: entries.map(([, value]) => value) };
  }

  #learnParent(name: string, parent: Record<string, unknown>): void {
    const columns = this.#parents.get(name) ?? new Set();
    for (const field of Object.keys(parent)) columns.add(`${name}.${field}`);
    this.#parents.set(name, columns);
  }

  /** A key that is new and null: whether it names a parent, the rest of the batch may tell. */
  #lookAhead({ names, values }: Fields, batch: readonly SourceRecord[]): void {
    names.forEach((name, index) => {
      const isTelling = values[index] !== null && values[index] !== undefined;
      if (isTelling || this.#indexes.has(fieldIdentity(name)) || this.#parents.has(name)) return;
      for (const record of batch) {
        const other = isRecord(record) ? this.#read(record) : undefined;
        const value = other?.values[other.names.indexOf(name)];
        if (value === null || value === undefined) continue;
        if (isParentReference(value)) this.#learnParent(name, value);
        return;
      }
    });
  }
}

function onlyId({ names, values }: Fields): Fields {
  const index = names.findIndex((name) => fieldIdentity(name) === 'id');
  return index === -1 ? { names: [], values: [] } : { names: ['Id'], values: [values[index]] };
}

/** @throws LoadError CONFIG_INVALID */
function keyFieldOf({ operation, externalIdField }: JobSpec): string | undefined {
  if (operation === 'insert') return undefined;
  if (operation !== 'upsert') return 'Id';
  if (externalIdField === null || externalIdField === '') {
    throw new LoadError('CONFIG_INVALID', 'externalIdField is missing: an upsert finds its records by it.');
  }
  return fieldIdentity(externalIdField) === 'id' ? 'Id' : externalIdField;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) {
    if (a[index] !== b[index]) return false;
  }
  return true;
}
