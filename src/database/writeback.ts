import type { Clock } from '../clock.ts';
import { LoadError } from '../errors.ts';
import type { SourceRecord } from '../record.ts';
import { describeTable } from './describe-tables.ts';
import { parseTableName, quoteIdentifier, quoteTable } from './identifiers.ts';
import type { Database } from './pool.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';

/** What a column is set to: a text that is the same for all rows, or a field of the record. */
export interface ColumnValue {
  column: string;
  value: string;
  valueType: 'str' | 'field';
}

export interface WritebackOptions {
  table: string;
  keyColumn: string;
  /** Field of the record, or of a failure's `originalData`, that holds the key. */
  keyField: string;
  set: readonly ColumnValue[];
  clock: Clock;
}

export interface WritebackResult {
  /** Rows of the table that were changed. */
  updated: number;
  /** Keys that match no row, how many. */
  missing: number;
  /** Records without a key, how many. */
  keyless: number;
}

/**
 * Marks source rows: one `UPDATE … FROM unnest(…)` a batch (issue 5), so that a batch is marked whole or not at all, and
 * a second time changes nothing. Waits while the database is away.
 */
export class Writeback {
  readonly #db: Database;
  readonly #options: WritebackOptions;
  #statement: Promise<string> | undefined;

  constructor(db: Database, options: WritebackOptions) {
    this.#db = db;
    this.#options = options;
    quoteTable(parseTableName(options.table));
    for (const column of [options.keyColumn, ...options.set.map(({ column }) => column)])
      quoteIdentifier(column);
  }

  /**
   * @throws DatabaseError DB_QUERY_FAILED when a value does not fit its column; LoadError CONFIG_INVALID for a table or
   *   column that is not there
   */
  async mark(records: readonly SourceRecord[], signal: AbortSignal): Promise<WritebackResult> {
    const { keyField, set, clock } = this.#options;
    const byKey = new Map<string, SourceRecord>();
    for (const record of records) {
      const key = textOf(fieldOf(record, keyField));
      // Of two records with one key the later one tells how it ended.
      if (key !== null && key !== '') byKey.set(key, record);
    }
    const keyless = records.filter((record) => !textOf(fieldOf(record, keyField))).length;
    if (byKey.size === 0) return { updated: 0, missing: 0, keyless };
    const columns = set.map(({ value, valueType }) =>
      [...byKey.values()].map((record) => (valueType === 'str' ? value : textOf(fieldOf(record, value)))),
    );
    const { updated, found } = await retryWhileUnavailable(
      () => this.#update([[...byKey.keys()], ...columns], signal),
      {
        clock,
        signal,
      },
    );
    return { updated, missing: byKey.size - found, keyless };
  }

  async #update(
    values: (string | null)[][],
    signal: AbortSignal,
  ): Promise<{ updated: number; found: number }> {
    const { rows } = await this.#db.query<{ updated: string; found: string }>(
      await this.#text(),
      values,
      signal,
    );
    return { updated: Number(rows[0]?.updated ?? 0), found: Number(rows[0]?.found ?? 0) };
  }

  #text(): Promise<string> {
    this.#statement ??= this.#prepare().catch((error) => {
      this.#statement = undefined;
      throw error;
    });
    return this.#statement;
  }

  /**
   * Values travel as text and are cast to their column's type, but not to its length: such a cast would cut a value off
   * without a word, and a key that is cut may find another row.
   */
  async #prepare(): Promise<string> {
    const { table, keyColumn, set } = this.#options;
    const types = new Map(
      (await describeTable(this.#db, table)).map(({ name, type }) => [
        name,
        type.replace(/\(\d+(,-?\d+)?\)/, ''),
      ]),
    );
    if (types.size === 0)
      throw new LoadError('CONFIG_INVALID', `There is no table ${table}, or the user may not see it.`);
    const typeOf = (column: string): string => {
      const type = types.get(column);
      if (type !== undefined) return type;
      throw new LoadError('CONFIG_INVALID', `Table ${table} has no column "${column}".`);
    };
    const assignments = set.map(
      ({ column }, index) => `${quoteIdentifier(column)} = given.v${index}::${typeOf(column)}`,
    );
    const names = ['key', ...set.map((_, index) => `v${index}`)];
    const arrays = names.map((_, index) => `$${index + 1}::text[]`);
    return `WITH given AS (SELECT * FROM unnest(${arrays.join(', ')}) AS t(${names.join(', ')})),
     changed AS (
       UPDATE ${quoteTable(parseTableName(table))} AS target SET ${assignments.join(', ')}
       FROM given WHERE target.${quoteIdentifier(keyColumn)} = given.key::${typeOf(keyColumn)}
       RETURNING given.key)
     SELECT count(*) AS updated, count(DISTINCT key) AS found FROM changed`;
  }
}

/** A field of the record; of a failure also one of the record that failed. Dots go into nested objects. */
export function fieldOf(record: SourceRecord, path: string): unknown {
  const own = valueAt(record, path);
  if (own !== undefined) return own;
  const { originalData } = record;
  return isObject(originalData) ? valueAt(originalData, path) : undefined;
}

function valueAt(record: Record<string, unknown>, path: string): unknown {
  if (Object.hasOwn(record, path)) return record[path];
  let value: unknown = record;
  for (const name of path.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** PostgreSQL's text holds no NUL. */
function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (value instanceof Date) return value.toISOString();
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.replaceAll('\0', '');
}
