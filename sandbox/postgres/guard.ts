import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Guard {
  /** Tells which process runs now; undefined: none. */
  watch(pid: number | undefined): void;
  dismiss(): void;
}

/**
 * Starts the watchdog, which stops the server when this process has gone without doing so, and then deletes `folder`
 * (empty: nothing).
 */
export function startGuard(folder: string): Guard {
  const script = fileURLToPath(new URL('./watchdog.ts', import.meta.url));
  const child = spawn(process.execPath, [script, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  // It went before us, when a person or the machine ended it: then nobody listens.
  child.stdin.on('error', () => {});
  return {
    watch: (pid) => {
      if (child.stdin.writable) child.stdin.write(`${pid ?? 0}\n`);
    },
    dismiss: () => {
      child.kill('SIGKILL');
    },
  };
}
