import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Whom the server runs as, in the form that `spawn` takes. Empty: as whoever runs this process. */
export type ServerUser = { uid: number; gid: number } | Record<string, never>;

/** Accounts that may exist already, before one is made. */
const CANDIDATES = ['postgres', 'nobody'];

/**
 * PostgreSQL refuses to run as root, so root lends it an unprivileged account. One is made only on a machine that has
 * neither of the usual ones.
 */
export async function serverUser(): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return {};
  for (const name of CANDIDATES) {
    const found = await lookUp(name);
    if (found !== undefined) return found;
  }
  await run('useradd', ['--system', '--no-create-home', 'postgres']);
  const made = await lookUp('postgres');
  if (made === undefined)
    throw new Error('PostgreSQL cannot run as root, and no account for it could be made.');
  return made;
}

async function lookUp(name: string): Promise<ServerUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([idOf(name, '-u'), idOf(name, '-g')]);
    return { uid, gid };
  } catch {
    // `id` fails for an account that does not exist: the answer, not an error.
    return undefined;
  }
}

async function idOf(name: string, which: '-u' | '-g'): Promise<number> {
  const { stdout } = await run('id', [which, name]);
  return Number.parseInt(stdout, 10);
}
