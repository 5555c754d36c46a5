/**
 * Stops a PostgreSQL server when the process that started it has gone, however it went: its end of our standard input
 * closes with it, SIGKILL included. Each line of the input is the server's process id from then on, or 0 while none runs.
 * Argument: a folder to delete afterwards, or nothing.
 */
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

const PATIENCE_MS = 10_000;
const [folder = ''] = process.argv.slice(2);
let pid = 0;

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
for await (const line of createInterface({ input: process.stdin })) pid = Number.parseInt(line, 10);

// SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one: nobody will read a folder that is deleted next.
signal(folder === '' ? 'SIGINT' : 'SIGQUIT');
for (let waited = 0; signal(0) && waited < PATIENCE_MS; waited += 50) await wait(50);
signal('SIGKILL');
if (folder !== '') await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });

/** False when there is no such process (any more). */
function signal(name: NodeJS.Signals | 0): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
