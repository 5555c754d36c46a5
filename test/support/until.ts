import { setTimeout as wait } from 'node:timers/promises';

/** Waits for a condition of the world outside this process (another process, a server), and says what did not come. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain until ${what}.`);
    await wait(20);
  }
}
