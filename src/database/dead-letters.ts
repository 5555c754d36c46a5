import { type Clock, systemClock } from '../clock.ts';
import type { Attempt } from '../failure.ts';
import type { DatabaseError } from './database-error.ts';
import { type DeadLetterTable, deadLetterTable } from './dead-letter-table.ts';
import type { Database } from './pool.ts';
import { fieldOf } from './record-field.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';
import { storableJson, storableText } from './storable-text.ts';

/** What is kept of one record that failed for good, or of one message that nobody could handle. */
export interface NewDeadLetter {
  /** The same failure has the same key, however often it arrives. */
  key: string;
  /** The record as uploaded (a failure's `originalData`), or a message's payload. */
  recordData: unknown;
  errorMessage: string;
  errorCode: string | null;
  errorCategory: string | null;
  retryable: boolean;
  attempts: readonly Attempt[];
  jobId: string | null;
  runId: string | null;
  loadName: string | null;
  object: string | null;
  operation: string | null;
  externalIdField: string | null;
}

export interface DeadLetterOptions {
  table: string;
  /** Makes the table when it is missing. */
  createTable: boolean;
  clock?: Clock;
  /** Hears once that the table has the MuleSoft flow's four columns only. */
  onMuleTable?: () => void;
  /** Hears of each time that storing waits for the database. */
  onWait?: (error: DatabaseError, waitMs: number) => void;
}

const REPLACED = ' (Characters of the record that PostgreSQL cannot hold were replaced by U+FFFD.)';

/** The columns that a letter is stored in, with what goes there. */
const COLUMNS: { name: string; type: string; value: (letter: NewDeadLetter) => unknown }[] = [
  { name: 'record_data', type: 'jsonb', value: ({ recordData }) => storableJson(recordData).json },
  { name: 'error_message', type: 'text', value: messageOf },
  { name: 'job_id', type: 'text', value: ({ jobId }) => textOrNull(jobId) },
  { name: 'key', type: 'text', value: ({ key }) => storableText(key) },
  { name: 'run_id', type: 'text', value: ({ runId }) => textOrNull(runId) },
  { name: 'load_name', type: 'text', value: ({ loadName }) => textOrNull(loadName) },
  { name: 'object', type: 'text', value: ({ object }) => textOrNull(object) },
  { name: 'operation', type: 'text', value: ({ operation }) => textOrNull(operation) },
  { name: 'external_id_field', type: 'text', value: ({ externalIdField }) => textOrNull(externalIdField) },
  { name: 'error_code', type: 'text', value: ({ errorCode }) => textOrNull(errorCode) },
  { name: 'error_category', type: 'text', value: ({ errorCategory }) => textOrNull(errorCategory) },
  { name: 'retryable', type: 'boolean', value: ({ retryable }) => retryable },
  { name: 'attempts', type: 'jsonb', value: ({ attempts }) => storableJson(attempts).json },
];
const MULE_COLUMNS = COLUMNS.slice(0, 3);

/**
 * The table of dead letters. A letter is stored once, by its key; in a table of the MuleSoft flow's four columns at least once.
 * Storing waits for a database that is away, for as long as it takes: a letter is never dropped.
 */
export class DeadLetters {
  readonly #db: Database;
  readonly #options: DeadLetterOptions;
  #table: Promise<DeadLetterTable> | undefined;

  constructor(db: Database, options: DeadLetterOptions) {
    this.#db = db;
    this.#options = options;
  }

  /**
   * Finds or makes the table; `store` does so too. Does not wait.
   *
   * @throws LoadError CONFIG_INVALID, DB_UNAVAILABLE, DB_QUERY_FAILED
   */
  async prepare(): Promise<{ isMule: boolean }> {
    const { isMule } = await this.#prepared();
    return { isMule };
  }

  /** All of them, with one statement. `alreadyThere`: letters whose key was known, in the table or in the same batch. */
  async store(
    letters: readonly NewDeadLetter[],
    signal?: AbortSignal,
  ): Promise<{ stored: number; alreadyThere: number }> {
    if (letters.length === 0) return { stored: 0, alreadyThere: 0 };
    const { clock = systemClock, onWait } = this.#options;
    const stored = await retryWhileUnavailable(() => this.#insert(letters, signal), {
      clock,
      signal,
      ...(onWait === undefined ? {} : { onWait }),
    });
    return { stored, alreadyThere: letters.length - stored };
  }

  async #insert(letters: readonly NewDeadLetter[], signal: AbortSignal | undefined): Promise<number> {
    const table = await this.#prepared();
    const columns = table.isMule ? MULE_COLUMNS : COLUMNS;
    const values: unknown[] = columns.map(({ value }) => letters.map(value));
    if (!table.isMule) values.push(letters.map(identityOf));
    const statement = table.isMule ? muleStatement(table) : insertStatement(table.table);
    return (await this.#db.query(statement, values, signal)).rowCount ?? 0;
  }

  #prepared(): Promise<DeadLetterTable> {
    this.#table ??= this.#findTable().catch((error) => {
      this.#table = undefined;
      throw error;
    });
    return this.#table;
  }

  async #findTable(): Promise<DeadLetterTable> {
    const table = await deadLetterTable(this.#db, this.#options.table, this.#options.createTable);
    if (table.isMule) this.#options.onMuleTable?.();
    return table;
  }
}

/**
 * One parameter for each column, an array over all letters; the last holds what each record is known by. A letter of a record
 * that is being replayed, or was, refers to the letter that it had.
 */
function insertStatement(table: string): string {
  const names = COLUMNS.map(({ name }) => name).join(', ');
  return `
    INSERT INTO ${table} (${names}, replay_of)
    SELECT ${COLUMNS.map(({ name, type }) => `new.${name}::${type}`).join(', ')},
           CASE WHEN new.identity IS NOT NULL THEN
             (SELECT max(id) FROM (
               SELECT before.id FROM ${table} AS before
               WHERE before.status IN ('replaying', 'replayed') AND before.object = new.object
                 AND before.record_data @> new.identity::jsonb
               -- Or else the planner reads the primary key backwards until it finds one.
               OFFSET 0) AS same)
           END
    FROM ${unnestOf(COLUMNS.length + 1)} AS new (${names}, identity)
    ON CONFLICT (key) DO NOTHING`;
}

/** Somebody else made the table: its column types are theirs, and a message that is too long for it is cut. */
function muleStatement({ table, types, lengths }: DeadLetterTable): string {
  const names = MULE_COLUMNS.map(({ name }) => name);
  const texts = names.map((name) => {
    const length = lengths.get(name);
    const text = length === undefined ? `new.${name}` : `left(new.${name}, ${length})`;
    return name === 'record_data' ? `new.record_data::${types.get(name)}` : `${text}::${types.get(name)}`;
  });
  return `
    INSERT INTO ${table} (${names.join(', ')}, created_at)
    SELECT ${texts.join(', ')}, clock_timestamp()
    FROM ${unnestOf(MULE_COLUMNS.length)} AS new (${names.join(', ')})`;
}

function unnestOf(count: number): string {
  return `unnest(${Array.from({ length: count }, (_, index) => `$${index + 1}::text[]`).join(', ')})`;
}

function textOrNull(text: string | null): string | null {
  return text === null ? null : storableText(text);
}

function messageOf({ errorMessage, recordData }: NewDeadLetter): string {
  const message = storableText(errorMessage);
  return storableJson(recordData).changed ? message + REPLACED : message;
}

/** By what a record is known again when it fails once more: its external id, else its Id. */
function identityOf({ recordData, object, externalIdField }: NewDeadLetter): string | null {
  if (object === null || typeof recordData !== 'object' || recordData === null) return null;
  for (const field of [externalIdField, 'Id']) {
    const value = field === null ? undefined : fieldOf(recordData as Record<string, unknown>, field);
    if (field !== null && value !== undefined && value !== null && value !== '') {
      return storableJson({ [field]: value }).json;
    }
  }
  return null;
}
