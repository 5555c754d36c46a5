import { readFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { LoadError } from '../errors.ts';
import { describeTable, type TableColumn } from './describe-tables.ts';
import { parseTableName, quoteTable } from './identifiers.ts';
import { lockSchema } from './migrate.ts';
import type { Database } from './pool.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';

/** A record that failed for good, or a message that an error stopped. */
export interface NewDeadLetter {
  /** The same failure has the same key however often it comes: it is stored once. */
  key: string;
  /** The record as it was uploaded, or the payload of the message; anything that JSON holds. */
  recordData: unknown;
  errorMessage: string;
  errorCode: string | null;
  errorCategory: string | null;
  retryable: boolean;
  attempts: readonly unknown[];
  jobId: string | null;
  runId: string | null;
  loadName: string | null;
  object: string | null;
  operation: string | null;
  externalIdField: string | null;
}

export interface DeadLettersOptions {
  table: string;
  /** Make the table when it is missing. */
  createTable: boolean;
  clock: Clock;
  /** Hears that the table is one of the Mule flow, with its four columns. */
  onMuleTable?: () => void;
}

export interface StoreResult {
  stored: number;
  /** Were there before: a delivery that came twice. */
  alreadyThere: number;
}

const MULE_COLUMNS = ['record_data', 'error_message', 'job_id', 'created_at'] as const;
const OWN_COLUMNS = [
  'id',
  'key',
  'run_id',
  'load_name',
  'object',
  'operation',
  'external_id_field',
  'error_code',
] as const;
const TABLE_SQL = new URL('./dead-letter-table.sql', import.meta.url);

/** How the table at hand is written to. A table made for the Mule flow knows no keys: there a repeat is stored twice. */
type Statement = { text: string; unique: boolean };

/**
 * The dead-letter table (design §9): one statement a batch, unique by key, so that a repeat stores nothing twice. Waits
 * while the database is away, and drops nothing.
 */
export class DeadLetters {
  readonly #db: Database;
  readonly #options: DeadLettersOptions;
  readonly #table: string;
  #statement: Promise<Statement> | undefined;

  /** @throws LoadError CONFIG_INVALID for a name that names no table */
  constructor(db: Database, options: DeadLettersOptions) {
    this.#db = db;
    this.#options = options;
    this.#table = quoteTable(parseTableName(options.table));
  }

  /**
   * @throws LoadError CONFIG_INVALID when the table is missing (and not to be made) or another; DatabaseError
   *   DB_QUERY_FAILED
   */
  async store(letters: readonly NewDeadLetter[], signal: AbortSignal): Promise<StoreResult> {
    if (letters.length === 0) return { stored: 0, alreadyThere: 0 };
    const rows = JSON.stringify(letters, storable);
    const { clock } = this.#options;
    const stored = await retryWhileUnavailable(() => this.#insert(rows, signal), { clock, signal });
    return { stored, alreadyThere: letters.length - stored };
  }

  /** Looks the table up, and makes it when it is to be made: at deploy, so that a person hears then what is wrong. */
  async prepare(): Promise<void> {
    await this.#prepared();
  }

  async #insert(rows: string, signal: AbortSignal): Promise<number> {
    const { text } = await this.#prepared();
    return (await this.#db.query(text, [rows], signal)).rowCount ?? 0;
  }

  #prepared(): Promise<Statement> {
    this.#statement ??= this.#prepare().catch((error) => {
      this.#statement = undefined;
      throw error;
    });
    return this.#statement;
  }

  async #prepare(): Promise<Statement> {
    const columns = await this.#columns();
    const names = new Set(columns.map(({ name }) => name));
    const has = (name: string): boolean => names.has(name);
    if (OWN_COLUMNS.every(has)) return { text: insertUnique(this.#table), unique: true };
    if (!MULE_COLUMNS.every(has)) throw this.#foreignTable();
    this.#options.onMuleTable?.();
    return { text: insertMule(this.#table, columns), unique: false };
  }

  async #columns(): Promise<TableColumn[]> {
    const { table, createTable } = this.#options;
    const columns = await describeTable(this.#db, table);
    if (columns.length > 0) return columns;
    if (!createTable) {
      throw new LoadError(
        'CONFIG_INVALID',
        `There is no table ${table}. Make it, or let the node make it ("create table").`,
      );
    }
    const statements = (await readFile(TABLE_SQL, 'utf8')).replaceAll(/\bdead_letters\b/g, () => this.#table);
    await this.#db.transaction(async (session) => {
      await lockSchema(session);
      const { rows } = await session.query<{ found: boolean }>(
        'SELECT to_regclass($1) IS NOT NULL AS found',
        [this.#table],
      );
      if (rows[0]?.found !== true) await session.query(statements);
    });
    return describeTable(this.#db, table);
  }

  #foreignTable(): LoadError {
    const { table } = this.#options;
    return new LoadError(
      'CONFIG_INVALID',
      `Table ${table} is no dead-letter table: it needs at least the columns ${MULE_COLUMNS.join(', ')}. Name another one.`,
    );
  }
}

const GIVEN = `jsonb_to_recordset($1::jsonb) AS given(key text, "recordData" jsonb, "errorMessage" text, "errorCode" text,
  "errorCategory" text, retryable boolean, attempts jsonb, "jobId" text, "runId" text, "loadName" text, object text,
  operation text, "externalIdField" text)`;

/** `replay_of`: the latest earlier letter of the same record that a replay has taken. */
function insertUnique(table: string): string {
  return `INSERT INTO ${table} (record_data, error_message, job_id, key, run_id, load_name, object, operation,
      external_id_field, error_code, error_category, retryable, attempts, replay_of)
    SELECT "recordData", "errorMessage", "jobId", key, "runId", "loadName", object, operation, "externalIdField",
      "errorCode", "errorCategory", retryable, attempts,
      (SELECT max(earlier.id) FROM ${table} AS earlier
       WHERE earlier.object = given.object AND earlier.status IN ('replaying', 'replayed')
         AND coalesce(earlier.record_data ->> earlier.external_id_field, earlier.record_data ->> 'Id')
           = coalesce("recordData" ->> "externalIdField", "recordData" ->> 'Id'))
    FROM ${GIVEN}
    ON CONFLICT (key) DO NOTHING`;
}

function insertMule(table: string, columns: readonly TableColumn[]): string {
  const type = columns.find(({ name }) => name === 'record_data')?.type ?? 'text';
  return `INSERT INTO ${table} (record_data, error_message, job_id, created_at)
    SELECT "recordData"::text::${type}, "errorMessage", "jobId", clock_timestamp() FROM ${GIVEN}`;
}

/** What JSON or jsonb cannot hold: big integers, bytes, NUL, halves of a character. */
function storable(this: unknown, name: string, value: unknown): unknown {
  const original = (this as Record<string, unknown> | undefined)?.[name];
  if (Buffer.isBuffer(original)) return original.toString('base64');
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'string' ? value.replaceAll('\0', '\uFFFD').toWellFormed() : value;
}
