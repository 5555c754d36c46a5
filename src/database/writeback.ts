import { LoadError } from '../errors.ts';
import type { SourceRecord } from '../record.ts';
import { quoteIdentifier } from './identifiers.ts';
import type { Database } from './pool.ts';
import { fieldOf } from './record-field.ts';
import { parameterText } from './sql-text.ts';
import { storableJson, storableText } from './storable-text.ts';
import { columnsOf, typeOf } from './table-columns.ts';

export interface WritebackOptions {
  /** `table`, `schema.table`, or quoted as in SQL. */
  table: string;
  keyColumn: string;
  /** Where the key is in a record, or in a failure's `originalData`. */
  keyField: string;
  set: WritebackValue[];
}

/** `str`: the same text for all; `field`: what each record has there. */
export interface WritebackValue {
  column: string;
  value: string;
  valueType: 'str' | 'field';
}

export interface WritebackResult {
  /** Rows changed. */
  updated: number;
  /** Keys that match no row, and some of them. */
  missing: number;
  missingKeys: string[];
  /** Records that have no key. */
  withoutKey: number;
}

const NOTHING = { updated: 0, missing: 0, missingKeys: [] as string[] };

/** Of the keys that match no row. */
const KEYS_NAMED = 5;
const KEY_SHOWN = 40;

interface Plan {
  statement: string;
  keyType: string;
  /** One for each of `set`. */
  types: string[];
}

const TEXT_TYPES = new Set(['text', 'character varying', 'bpchar', 'character', 'citext', '"char"', 'name']);
const JSON_TYPES = new Set(['json', 'jsonb']);

/**
 * Writes what became of records back to their source table, one UPDATE a batch. Values are cast to the columns' types; empty
 * is NULL for all but texts. Of two records with one key the later counts. Done twice it changes nothing more.
 */
export class Writeback {
  readonly #db: Database;
  readonly #options: WritebackOptions;
  #plan: Promise<Plan> | undefined;

  constructor(db: Database, options: WritebackOptions) {
    checkSet(options.set);
    this.#db = db;
    this.#options = options;
  }

  /**
   * @throws LoadError CONFIG_INVALID when table or column is not there, DB_QUERY_FAILED when a value does not suit its column,
   *   DB_UNAVAILABLE
   */
  async write(records: readonly SourceRecord[], signal?: AbortSignal): Promise<WritebackResult> {
    const plan = await this.#planned();
    const keys = records.map((record) => textFor(plan.keyType, fieldOf(record, this.#options.keyField)));
    const withoutKey = keys.filter((key) => key === null).length;
    if (withoutKey === records.length) return { ...NOTHING, withoutKey };
    const values = this.#options.set.map(({ value, valueType }, index) => {
      const type = plan.types[index] ?? '';
      return valueType === 'str'
        ? literalFor(type, value)
        : records.map((record) => textFor(type, fieldOf(record, value)));
    });
    const { rows } = await this.#db.query<typeof NOTHING>(plan.statement, [keys, ...values], signal);
    return { ...NOTHING, ...rows[0], withoutKey };
  }

  /** Types are looked up once; a table that is changed meanwhile needs a redeploy. */
  #planned(): Promise<Plan> {
    this.#plan ??= plan(this.#db, this.#options).catch((error) => {
      this.#plan = undefined;
      throw error;
    });
    return this.#plan;
  }
}

async function plan(db: Database, { table, keyColumn, set }: WritebackOptions): Promise<Plan> {
  const columns = await columnsOf(db, table);
  const keyType = typeOf(columns, keyColumn);
  const types = set.map(({ column }) => typeOf(columns, column));
  return {
    statement: updateStatement(columns.table, quoteIdentifier(keyColumn), keyType, set, types),
    keyType,
    types,
  };
}

/** `$1` are the keys; each value of `set` has a parameter of its own: a text, or a text for each key. */
function updateStatement(
  table: string,
  keyColumn: string,
  keyType: string,
  set: WritebackValue[],
  types: string[],
): string {
  const parameter = (index: number) => `$${index + 2}`;
  const perRecord = set.flatMap(({ valueType }, index) => (valueType === 'field' ? [index] : []));
  const names = perRecord.map((index) => `, v${index}`).join('');
  const arrays = perRecord.map((index) => `, ${parameter(index)}::text[]`).join('');
  const assignments = set.map(({ column, valueType }, index) => {
    const source = valueType === 'field' ? `given.v${index}` : `${parameter(index)}::text`;
    return `${quoteIdentifier(column)} = ${source}::${types[index]}`;
  });
  return `
    WITH given AS MATERIALIZED (
      SELECT DISTINCT ON (key) key${names}
      FROM (SELECT k::${keyType} AS key, n${names}
            FROM unnest($1::text[]${arrays}) WITH ORDINALITY AS u (k${names}, n)
            WHERE k IS NOT NULL) AS keyed
      ORDER BY key, n DESC
    ), updated AS (
      UPDATE ${table} AS target SET ${assignments.join(', ')}
      FROM given WHERE target.${keyColumn} = given.key
      RETURNING given.key
    ), missing AS (
      SELECT key FROM given WHERE NOT EXISTS (SELECT FROM updated WHERE updated.key = given.key)
    )
    SELECT (SELECT count(*) FROM updated)::int AS updated, (SELECT count(*) FROM missing)::int AS missing,
           ARRAY(SELECT left(key::text, ${KEY_SHOWN}) FROM missing ORDER BY key LIMIT ${KEYS_NAMED}) AS "missingKeys"`;
}

function textFor(type: string, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (JSON_TYPES.has(type)) return storableJson(value).json;
  return typeof value === 'string' ? literalFor(type, value) : parameterText(storable(value));
}

/** Texts in a list as PostgreSQL can hold them; an object's are escaped in its JSON. */
function storable(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  return Array.isArray(value) ? value.map(storable) : value;
}

function literalFor(type: string, value: string): string | null {
  return value === '' && !TEXT_TYPES.has(type) ? null : storableText(value);
}

function checkSet(set: readonly WritebackValue[]): void {
  const columns = set.map(({ column }) => column);
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (set.length === 0)
    throw new LoadError('CONFIG_INVALID', 'The property set names no column to write to.');
  if (twice !== undefined)
    throw new LoadError('CONFIG_INVALID', `The property set names column "${twice}" twice.`);
}
