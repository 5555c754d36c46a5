import { LoadError } from '../errors.ts';
import { parseTableName, quoteTable } from './identifiers.ts';
import type { Database } from './pool.ts';

export interface TableColumns {
  /** Quoted, ready for a statement. */
  table: string;
  /** Column name to its type, as a statement may cast to it (without length or precision: too long is refused, not cut). */
  types: Map<string, string>;
  /** Of columns whose type has a greatest length, in characters. */
  lengths: Map<string, number>;
}

/** Privileges aside, what a statement may name. -1: without the modifier that a cast would cut values to. */
const COLUMNS = `
  SELECT attname::text AS name, format_type(atttypid, -1) AS type,
         CASE WHEN atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND atttypmod > 4 THEN atttypmod - 4 END AS length
  FROM pg_attribute
  WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`;

/** Undefined when there is no such table in reach. */
export async function findColumns(db: Database, name: string): Promise<TableColumns | undefined> {
  const table = quoteTable(parseTableName(name));
  const { rows } = await db.query<{ name: string; type: string; length: number | null }>(COLUMNS, [table]);
  if (rows.length === 0) return undefined;
  return {
    table,
    types: new Map(rows.map(({ name: column, type }) => [column, type])),
    lengths: new Map(rows.flatMap(({ name: column, length }) => (length === null ? [] : [[column, length]]))),
  };
}

export async function columnsOf(db: Database, name: string): Promise<TableColumns> {
  const found = await findColumns(db, name);
  if (found !== undefined) return found;
  const { database, user } = db.address;
  throw new LoadError(
    'CONFIG_INVALID',
    `There is no table ${name} in database "${database}" for user "${user}". Correct the name; put the schema before it ` +
      'when it is in none of the search path; capitals matter.',
  );
}

export function typeOf({ table, types }: TableColumns, column: string): string {
  const type = types.get(column);
  if (type !== undefined) return type;
  throw new LoadError(
    'CONFIG_INVALID',
    `Table ${table} has no column "${column}". It has ${[...types.keys()].join(', ')}.`,
  );
}
