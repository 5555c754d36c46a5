import { readFile } from 'node:fs/promises';
import { LoadError } from '../errors.ts';
import { parseTableName, quoteTable } from './identifiers.ts';
import { lockSchema } from './migrate.ts';
import type { Database } from './pool.ts';
import { findColumns, type TableColumns } from './table-columns.ts';

const DEFINITION = new URL('./dead-letter-table.sql', import.meta.url);

/** Through pg_class: to_regclass alone answers from what the session has cached. */
const IS_THERE = 'SELECT FROM pg_class WHERE oid = to_regclass($1)';

const MULE_COLUMNS = ['record_data', 'error_message', 'job_id', 'created_at'];
const OWN_COLUMNS = [
  'id',
  'key',
  'run_id',
  'load_name',
  'object',
  'operation',
  'external_id_field',
  'error_code',
  'error_category',
  'retryable',
  'attempts',
  'status',
  'claim_id',
  'replay_of',
];

export interface DeadLetterTable extends TableColumns {
  /** It has the MuleSoft flow's four columns only (others may be beside them): at least once, no replay. */
  isMule: boolean;
}

/**
 * The table, made when it is missing and may be made.
 *
 * @throws LoadError CONFIG_INVALID when it is missing, or is no table for dead letters
 */
export async function deadLetterTable(db: Database, name: string, create: boolean): Promise<DeadLetterTable> {
  const found = (await findColumns(db, name)) ?? (create ? await createTable(db, name) : undefined);
  if (found === undefined) {
    throw new LoadError(
      'CONFIG_INVALID',
      `There is no table ${name} in database "${db.address.database}". Correct its name, or let the node make it.`,
    );
  }
  const lacking = (columns: string[]) => columns.filter((column) => !found.types.has(column));
  const missing = lacking(MULE_COLUMNS);
  if (missing.length > 0) {
    throw new LoadError(
      'CONFIG_INVALID',
      `Table ${name} is no table for dead letters: it lacks ${missing.join(', ')}. Name another one; one that does not exist ` +
        'yet is made.',
    );
  }
  return { ...found, isMule: lacking(OWN_COLUMNS).length > 0 };
}

/** Any number of processes may find it missing at once. */
async function createTable(db: Database, name: string): Promise<TableColumns | undefined> {
  const table = quoteTable(parseTableName(name));
  const definition = (await readFile(DEFINITION, 'utf8')).replaceAll('{{table}}', () => table);
  await db.transaction(async (session) => {
    await lockSchema(session);
    const { rows } = await session.query(IS_THERE, [table]);
    if (rows.length === 0) await session.query(definition);
  });
  return findColumns(db, name);
}
