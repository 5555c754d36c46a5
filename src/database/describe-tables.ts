import { parseTableName, quoteTable } from './identifiers.ts';
import type { Database } from './pool.ts';

export interface TableSummary {
  /** As the forms write it: the schema only where the name alone would not find it; quoted where a dot would mislead. */
  name: string;
  kind: 'table' | 'view';
}

export interface TableColumn {
  name: string;
  /** As PostgreSQL writes it. */
  type: string;
  nullable: boolean;
  /** Alone the primary key, or alone in a unique index: it finds one row. */
  unique: boolean;
}

const MOST_TABLES = 2_000;

/** Tables and views that the user may read, those of the search path first. */
export async function listTables(db: Database, signal?: AbortSignal): Promise<TableSummary[]> {
  const { rows } = await db.query<{ schema: string; table: string; kind: string; visible: boolean }>(
    `SELECT n.nspname AS schema, c.relname AS "table", c.relkind AS kind, pg_table_is_visible(c.oid) AS visible
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
       AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
     ORDER BY visible DESC, schema, "table" LIMIT ${MOST_TABLES}`,
    undefined,
    signal,
  );
  return rows.map(({ schema, table, kind, visible }) => ({
    name: visible ? written(table) : `${written(schema)}.${written(table)}`,
    kind: kind === 'v' || kind === 'm' ? 'view' : 'table',
  }));
}

/** The columns of a table in their order; none when there is no such table. */
export async function describeTable(
  db: Database,
  table: string,
  signal?: AbortSignal,
): Promise<TableColumn[]> {
  const { rows } = await db.query<{ name: string; type: string; nullable: boolean; unique: boolean }>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
            EXISTS (SELECT FROM pg_index i
                    WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indpred IS NULL
                      AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS "unique"
     FROM pg_attribute a
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum`,
    [quoteTable(parseTableName(table))],
    signal,
  );
  return rows;
}

/** Those of the given tables that are there, in the given order. */
export async function existingTables(
  db: Database,
  tables: string[],
  signal?: AbortSignal,
): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT name FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t(name, quoted, n)
     WHERE to_regclass(quoted) IS NOT NULL ORDER BY n`,
    [tables, tables.map((table) => quoteTable(parseTableName(table)))],
    signal,
  );
  return rows.map(({ name }) => name);
}

function written(name: string): string {
  return /[."]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
