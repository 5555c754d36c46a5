import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.ts';
import { enterableByAll, reachableTmp } from './reachable-tmp.ts';
import type { ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** Beside the server's own files, so that a kept data directory can be opened again. */
const PASSWORD_FILE = 'sandbox-password';

export interface DataDirectory {
  path: string;
  password: string;
}

/** An empty folder for a server's data, where its account can reach it. */
export async function newDataFolder(): Promise<string> {
  return mkdtemp(join(await reachableTmp(), 'sf-bulk-pgdata-'));
}

/** The data directory at `path`: what is kept there, or a new one (UTF-8, every connection needs the password). */
export async function dataDirectory(
  path: string,
  binaries: Binaries,
  owner: ServerUser,
  superuser: string,
): Promise<DataDirectory> {
  await mkdir(path, { recursive: true });
  if ('uid' in owner && !(await enterableByAll(dirname(path)))) {
    throw new Error(
      `PostgreSQL runs as an unprivileged account here, which may not enter ${dirname(path)}. ` +
        'Choose a data directory outside of folders that are closed to others, such as root’s home.',
    );
  }
  if (!(await exists(join(path, 'PG_VERSION')))) return initialise(path, binaries, owner, superuser);
  return { path, password: await readFile(join(path, PASSWORD_FILE), 'utf8') };
}

async function initialise(
  path: string,
  binaries: Binaries,
  owner: ServerUser,
  superuser: string,
): Promise<DataDirectory> {
  const password = randomBytes(18).toString('base64url');
  await chmod(path, 0o700);
  const secrets = await mkdtemp(join(await reachableTmp(), 'sf-bulk-pginit-'));
  const passwordFile = join(secrets, 'password');
  try {
    await writeFile(passwordFile, password, { mode: 0o600 });
    for (const file of [path, secrets, passwordFile]) await giveTo(owner, file);
    await run(binaries.initdb, initdbArguments(path, superuser, passwordFile), {
      ...owner,
      env: serverEnv(),
    });
  } finally {
    await rm(secrets, { recursive: true, force: true });
  }
  await writeFile(join(path, PASSWORD_FILE), password, { mode: 0o600 });
  await giveTo(owner, join(path, PASSWORD_FILE));
  return { path, password };
}

function initdbArguments(path: string, superuser: string, passwordFile: string): string[] {
  return [
    `--pgdata=${path}`,
    `--username=${superuser}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-sync',
  ];
}

export async function giveTo(owner: ServerUser, file: string): Promise<void> {
  if ('uid' in owner) await chown(file, owner.uid as number, owner.gid as number);
}

/** Without the machine's PG… variables, and with messages that we can read. */
export function serverEnv(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(inherited), LC_ALL: 'C', TZ: 'UTC' };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
