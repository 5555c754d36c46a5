import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';

const MAY_ENTER = 0o001;

/** True when every folder down to `path` lets any account in: what the server's account needs of its own files. */
export async function enterableByAll(path: string): Promise<boolean> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode } = await stat(folder);
    if ((mode & MAY_ENTER) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** The temporary folder, or where it lies below one that others may not enter (root's home), a public one. */
export async function reachableTmp(): Promise<string> {
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) {
    if (await enterableByAll(folder)) return folder;
  }
  throw new Error(
    `The account that PostgreSQL runs as can enter none of ${tmpdir()}, /tmp, /var/tmp; set TMPDIR.`,
  );
}
