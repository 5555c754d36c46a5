import type { Clock } from '../../../src/clock.ts';
import { describeQuery, previewQuery } from '../../../src/database/describe-query.ts';
import { describeTable, existingTables, listTables } from '../../../src/database/describe-tables.ts';
import type { Database } from '../../../src/database/pool.ts';
import type { SyncDatabaseNode } from '../connections.ts';
import type { Red, Request } from '../red.ts';
import { bodyValue, deployedNode, type Endpoint, queryText, registerEndpoint } from './endpoint.ts';

/** The dead letters, and what the ledger's migrations make. */
const OWN_TABLES = [
  'sf_sync_dead_letter',
  'sf_sync_load',
  'sf_sync_run',
  'sf_sync_job',
  'sf_sync_retry',
  'sf_sync_token',
  'sf_sync_schema_version',
];

/** A cell of the preview is for a look, not for reading. */
const CELL_CHARACTERS = 200;

const READING = { calls: 120, perMs: 60_000, atOnce: 4 };
/** Each holds a connection of the pool, which running loads need. */
const RUNNING = { calls: 30, perMs: 60_000, atOnce: 2 };

/** What the forms ask about a database: once, from the module of `sync-database`. */
export function registerDatabaseAdmin(RED: Red, clock?: Clock): void {
  const register = (endpoint: Endpoint) => registerEndpoint(RED, endpoint, clock);
  const databaseOf = (id: string): Database =>
    deployedNode<SyncDatabaseNode>(RED, id, 'sync-database').database;
  register({
    method: 'get',
    path: '/database/:id/test',
    permission: 'write',
    bounds: RUNNING,
    answer: async ({ id, signal }) => {
      const database = databaseOf(id);
      const server = await database.test(signal);
      return {
        ...server,
        ownTables: OWN_TABLES,
        existing: await existingTables(database, OWN_TABLES, signal),
      };
    },
  });
  register({
    method: 'get',
    path: '/database/:id/tables',
    permission: 'read',
    bounds: READING,
    answer: ({ id, signal }) => listTables(databaseOf(id), signal),
  });
  register({
    method: 'get',
    path: '/database/:id/columns',
    permission: 'read',
    bounds: READING,
    answer: ({ id, request, signal }) => describeTable(databaseOf(id), queryText(request, 'table'), signal),
  });
  register({
    method: 'post',
    path: '/database/:id/query-columns',
    permission: 'write',
    bounds: READING,
    answer: ({ id, request, signal }) => describeQuery(databaseOf(id), sqlOf(request), signal),
  });
  register({
    method: 'post',
    path: '/database/:id/preview',
    permission: 'write',
    bounds: RUNNING,
    answer: async ({ id, request, signal }) => {
      const query = { sql: sqlOf(request), params: paramsOf(request) };
      const { columns, rows } = await previewQuery(databaseOf(id), query, signal);
      const names = columns.map(({ name }) => name);
      return { columns, rows: rows.map((row) => names.map((name) => cell(row[name]))) };
    },
  });
}

function sqlOf(request: Request): string {
  const sql = bodyValue(request, 'sql');
  return typeof sql === 'string' ? sql : '';
}

function paramsOf(request: Request): unknown[] {
  const params = bodyValue(request, 'params');
  return Array.isArray(params) ? params : [];
}

function cell(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  const text = typeof value === 'object' ? objectText(value) : String(value);
  return text.length > CELL_CHARACTERS ? `${text.slice(0, CELL_CHARACTERS - 1)}…` : text;
}

function objectText(value: object): string {
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex', 0, CELL_CHARACTERS)}`;
  return JSON.stringify(value);
}
