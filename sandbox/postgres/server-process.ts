import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { platform } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { serverEnv } from './data-directory.ts';
import type { ServerUser } from './server-user.ts';

const READY = 'database system is ready to accept connections';
const PORT_TAKEN = 'could not bind';
/** After a SIGKILL of the postmaster its children need a moment to see that it is gone. */
const NOT_YET = /pre-existing shared memory block|lock file "postmaster\.pid" already exists/;
const START_PATIENCE_MS = 30_000;
const STOP_PATIENCE_MS = 10_000;
const LOG_TAIL = 16_384;

export class PortTaken extends Error {}

/** One run of the postmaster. */
export interface ServerProcess {
  pid: number;
  /** Resolves when it has gone, for whatever reason. */
  exited: Promise<void>;
  /** Fast shutdown: sessions are cut, data are written. */
  stop(): Promise<void>;
  /** SIGKILL: sessions are cut, the next start recovers. */
  kill(): Promise<void>;
}

/**
 * Resolves when the server takes connections; waits while the remains of a killed one are in the way. `onProcess` hears of
 * each process that is started, and `undefined` when it has gone.
 */
export async function startServer(
  command: string,
  args: string[],
  user: ServerUser,
  onProcess: (pid: number | undefined) => void,
): Promise<ServerProcess> {
  const deadline = Date.now() + START_PATIENCE_MS;
  for (;;) {
    const child = spawn(command, args, {
      ...user,
      env: serverEnv(),
      stdio: ['ignore', 'ignore', 'pipe'],
      // A process group of its own: Ctrl-C in the terminal reaches us, and we stop it in good order.
      detached: platform() !== 'win32',
    });
    onProcess(child.pid);
    child.once('exit', () => onProcess(undefined));
    const log = await readyOrGone(child);
    if (log.includes(READY)) return asServerProcess(child);
    if (log.includes(PORT_TAKEN)) throw new PortTaken(log.trim());
    if (!NOT_YET.test(log) || Date.now() > deadline)
      throw new Error(`PostgreSQL did not start: ${log.trim()}`);
    await wait(100);
  }
}

/** The log up to the line that says it is ready, or to its end. */
function readyOrGone(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.once('error', reject);
    child.once('close', () => resolve(log));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-LOG_TAIL);
      if (log.includes(READY)) resolve(log);
    });
  });
}

function asServerProcess(child: ChildProcess): ServerProcess {
  child.unref();
  (child.stderr as unknown as { unref(): void }).unref();
  const exited = once(child, 'exit').then(() => undefined);
  return {
    pid: child.pid as number,
    exited,
    stop: () => endBy(child, exited, 'SIGINT'),
    kill: () => endBy(child, exited, 'SIGKILL'),
  };
}

async function endBy(child: ChildProcess, exited: Promise<void>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // An unreferenced child alone would let the process end in the middle of the wait.
  child.ref();
  const harder = setTimeout(() => child.kill('SIGQUIT'), STOP_PATIENCE_MS);
  child.kill(signal);
  await exited;
  clearTimeout(harder);
}
