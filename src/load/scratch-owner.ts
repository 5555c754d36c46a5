import { readFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/**
 * Which process a scratch directory belongs to, told by its name: `<host>-<pid>-<start>`. A pid alone is not enough, they
 * are used again (in a container nearly always at once), so it has the time at which the process started; nor are both,
 * where several containers share the directory.
 */
const NAME = /^(.*)-(\d+)-(\d+)$/;

/** Longer than Salesforce keeps the results of a job, so no load that is still of use began before. */
const ABANDONED_AFTER_MS = 8 * 24 * 60 * 60 * 1000;

/** The name of this process' directory, the same for every copy of the package in it. */
export function ownName(): string {
  return `${hostname()}-${process.pid}-${startOf(process.pid) ?? ownStart()}`;
}

/**
 * True when the process that made the directory is no more. Of a process on another host nothing can be known: its
 * directory is abandoned when nothing has changed in it for longer than any load can last.
 */
export async function isDeadOwner(name: string, path: string, host: string): Promise<boolean> {
  const match = NAME.exec(name);
  if (!match || name === ownName()) return false;
  if (match[1] !== host) return Date.now() - (await lastChange(path)) > ABANDONED_AFTER_MS;
  const pid = Number(match[2]);
  if (pid === process.pid || !isRunning(pid)) return true;
  const start = startOf(pid);
  return start !== undefined && String(start) !== match[3];
}

/** Of the directory and those in it, in which files come and go. */
async function lastChange(directory: string): Promise<number> {
  const paths = [directory, ...(await readdir(directory)).map((name) => join(directory, name))];
  const changes = await Promise.all(paths.map(async (path) => (await stat(path)).mtimeMs));
  return Math.max(...changes);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When the process started, in clock ticks since boot (field 22 of proc(5) `stat`); undefined where there is no /proc. */
function startOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in brackets, which may itself hold spaces and brackets.
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}

function ownStart(): number {
  return Math.round(performance.timeOrigin);
}
