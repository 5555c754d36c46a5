import { LoadError } from '../errors.ts';

/** PostgreSQL cuts longer names off without a word (NAMEDATALEN - 1). */
const LONGEST_NAME_BYTES = 63;

export interface TableName {
  schema: string | undefined;
  table: string;
}

/** One identifier, quoted: whatever is in it, it stays a name. */
export function quoteIdentifier(name: string): string {
  checkName(name);
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable({ schema, table }: TableName): string {
  return schema === undefined
    ? quoteIdentifier(table)
    : `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

/**
 * Reads a table's name as a person writes it: `table`, `schema.table`, or with quotes as in SQL, `"my schema"."a.b"`,
 * where a quote inside is doubled. Unlike in SQL, an unquoted name keeps its case and may hold any characters but dots and
 * quotes.
 */
export function parseTableName(text: string): TableName {
  const parts = [...text.matchAll(/(?:"((?:[^"]|"")+)"|([^".]+))(\.|$)/gy)];
  const whole = parts.map(([match]) => match).join('');
  if (whole !== text || parts.length === 0 || parts.length > 2 || text.endsWith('.')) {
    throw new LoadError(
      'CONFIG_INVALID',
      `"${text}" is no name of a table. Write table, schema.table, or with quotes "my schema"."my.table".`,
    );
  }
  const names = parts.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
  const [first = '', second] = names;
  const name = second === undefined ? { schema: undefined, table: first } : { schema: first, table: second };
  quoteTable(name);
  return name;
}

function checkName(name: string): void {
  if (name === '' || name.includes('\0')) {
    throw new LoadError(
      'CONFIG_INVALID',
      'A name in the database must have at least one character, and no NUL.',
    );
  }
  if (Buffer.byteLength(name) > LONGEST_NAME_BYTES) {
    throw new LoadError(
      'CONFIG_INVALID',
      `The name "${name}" is longer than the ${LONGEST_NAME_BYTES} bytes that PostgreSQL keeps.`,
    );
  }
}
