import type { Connection, FieldDef, QueryResultRow, Submittable } from 'pg';
import { LoadError } from '../errors.ts';
import type { SourceRecord } from '../record.ts';
import { asDatabaseError } from './database-error.ts';
import type { Database } from './pool.ts';
import type { Session } from './session.ts';
import { oneQuery, parameterText } from './sql-text.ts';

export interface Column {
  name: string;
  /** As PostgreSQL writes it: `character varying(80)`, `numeric(10,2)`, `bigint`. */
  type: string;
  typeId: number;
}

export interface Query {
  sql: string;
  params?: unknown[];
}

const PREVIEW_ROWS = 10;
const PREVIEW_TIMEOUT_MS = 5_000;

/** PostgreSQL's name for a column that has none, such as `SELECT 1`. */
const UNNAMED = '?column?';

/** The columns of a query: the server prepares it and says what would come; nothing is run. */
export async function describeQuery(db: Database, sql: string, signal?: AbortSignal): Promise<Column[]> {
  const query = oneQuery(sql);
  return db.withSession((session) => describe(session, query), signal);
}

/** The columns, and the first rows of what the query gives, in a transaction that cannot write and does not last. */
export async function previewQuery(
  db: Database,
  { sql, params = [] }: Query,
  signal?: AbortSignal,
): Promise<{ columns: Column[]; rows: SourceRecord[] }> {
  const query = oneQuery(sql);
  return db.withSession(
    (session) =>
      session.transaction(async () => {
        await session.query(`SET LOCAL statement_timeout = ${PREVIEW_TIMEOUT_MS}`);
        const columns = await describe(session, query);
        checkColumns(columns);
        const prefix = 'DECLARE preview NO SCROLL CURSOR FOR ';
        const values = params.map(parameterText);
        await session.query({ text: prefix + query, prefix, values, queryMode: 'extended' });
        const { rows } = await session.query<QueryResultRow>(`FETCH ${PREVIEW_ROWS} FROM preview`);
        return { columns, rows };
      }, 'BEGIN READ ONLY'),
    signal,
  );
}

export async function describe(session: Session, query: string): Promise<Column[]> {
  const fields = await describedFields(session, query);
  const { rows } = await session.query<{ type: string }>(
    'SELECT format_type(id, modifier) AS type FROM unnest($1::oid[], $2::int[]) WITH ORDINALITY AS t(id, modifier, n) ORDER BY n',
    [fields.map(({ dataTypeID }) => dataTypeID), fields.map(({ dataTypeModifier }) => dataTypeModifier)],
  );
  return fields.map(({ name, dataTypeID }, at) => ({ name, type: rows[at]?.type ?? '', typeId: dataTypeID }));
}

/**
 * A record has its columns by name.
 *
 * @throws LoadError CONFIG_INVALID for a column without a name, and for two of one name
 */
export function checkColumns(columns: readonly { name: string }[]): void {
  const names = columns.map(({ name }) => name);
  const at = names.findIndex((name, index) => name === UNNAMED || names.indexOf(name) !== index);
  if (at < 0) return;
  const what = names[at] === UNNAMED ? 'has no name' : `has the name "${names[at]}" of another one`;
  throw new LoadError(
    'CONFIG_INVALID',
    `Column ${at + 1} of the SQL ${what}. Give it one of its own with AS.`,
  );
}

function describedFields(session: Session, query: string): Promise<FieldDef[]> {
  return new Promise((resolve, reject) => {
    session.client.query(
      new Description(query, (error, fields) => {
        if (error === null) resolve(fields);
        else reject(asDatabaseError(error, session.address));
      }),
    );
  });
}

/** Parse and Describe of the extended protocol, without the Execute that the driver's own queries add. */
class Description implements Submittable {
  /** The driver keeps prepared statements by name; this one has none. */
  readonly name = '';
  readonly #text: string;
  readonly #done: (error: Error | null, fields: FieldDef[]) => void;
  #fields: FieldDef[] = [];

  constructor(text: string, done: (error: Error | null, fields: FieldDef[]) => void) {
    this.#text = text;
    this.#done = done;
  }

  submit(connection: Connection): void {
    connection.parse({ name: '', text: this.#text, types: [] }, true);
    connection.describe({ type: 'S', name: '' }, true);
    connection.sync();
  }

  handleRowDescription({ fields }: { fields: FieldDef[] }): void {
    this.#fields = fields;
  }

  handleReadyForQuery(): void {
    this.#done(null, this.#fields);
  }

  handleError(error: Error): void {
    this.#done(error, []);
  }
}
