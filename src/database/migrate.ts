import { readdir, readFile } from 'node:fs/promises';
import { LoadError } from '../errors.ts';
import type { Database } from './pool.ts';
import type { Session } from './session.ts';

/** Numbered files, `001-ledger.sql`; the build copies them beside the compiled module. Once published, one never changes. */
const FOLDER = new URL('./migrations/', import.meta.url);

const VERSIONS = `
  CREATE TABLE IF NOT EXISTS sf_sync_schema_version (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`;

interface Migration {
  version: number;
  name: string;
}

/**
 * Brings the tables of the ledger, in the schema of the connection, to the state that this release needs. Any number of
 * processes may do so at once. Nothing is locked or written when there is nothing to do.
 *
 * @throws LoadError CONFIG_INVALID when the tables are those of a later release
 */
export async function migrate(db: Database, signal?: AbortSignal): Promise<void> {
  const migrations = await listMigrations();
  const newest = migrations.at(-1)?.version ?? 0;
  if ((await versionOf(db)) === newest) return;
  await db.transaction(async (session) => {
    await lockSchema(session);
    await session.query(VERSIONS);
    const { rows } = await session.query<{ version: number }>('SELECT version FROM sf_sync_schema_version');
    const applied = new Set(rows.map(({ version }) => version));
    checkNotNewer(Math.max(0, ...applied), newest);
    for (const migration of migrations) {
      if (!applied.has(migration.version)) await apply(session, migration);
    }
  }, signal);
}

/**
 * Until the transaction ends, nobody else makes tables of ours in this schema. `CREATE … IF NOT EXISTS` alone fails when two
 * sessions do it at once.
 */
export async function lockSchema(session: Session): Promise<void> {
  await session.query(
    "SELECT pg_advisory_xact_lock(hashtext('sf_sync tables'), hashtext(coalesce(current_schema(), '')))",
  );
}

async function versionOf(db: Database): Promise<number | undefined> {
  const found = await db.query<{ found: boolean }>(
    "SELECT to_regclass('sf_sync_schema_version') IS NOT NULL AS found",
  );
  if (found.rows[0]?.found !== true) return undefined;
  const { rows } = await db.query<{ version: number | null }>(
    'SELECT max(version) AS version FROM sf_sync_schema_version',
  );
  return rows[0]?.version ?? undefined;
}

async function apply(session: Session, { version, name }: Migration): Promise<void> {
  await session.query(await readFile(new URL(name, FOLDER), 'utf8'));
  await session.query('INSERT INTO sf_sync_schema_version (version, name) VALUES ($1, $2)', [version, name]);
}

async function listMigrations(): Promise<Migration[]> {
  const names = (await readdir(FOLDER)).filter((name) => /^\d{3}-.*\.sql$/.test(name)).sort();
  return names.map((name) => ({ version: Number.parseInt(name, 10), name }));
}

function checkNotNewer(applied: number, known: number): void {
  if (applied <= known) return;
  throw new LoadError(
    'CONFIG_INVALID',
    `The ledger's tables are of a later release of this package (version ${applied}; this one knows ${known}). Update the ` +
      'package, or give this Node-RED a schema of its own.',
  );
}
