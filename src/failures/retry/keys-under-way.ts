import { orAborted } from '../../time-limit.ts';

/** Keys by ledger: two nodes on one ledger are one party, two ledgers in one process are not. */
const UNDER_WAY = new WeakMap<object, Map<string, Promise<void>>>();

/**
 * Runs `work` while nobody else in this process has any of the keys under way: when one batch is delivered twice at the
 * same time, the second finds what became of the first, and not a call in the air. Rejects with the signal's reason.
 */
export async function withKeys<T>(
  owner: object,
  keys: readonly string[],
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const taken = UNDER_WAY.get(owner) ?? new Map<string, Promise<void>>();
  UNDER_WAY.set(owner, taken);
  for (let held = findHeld(taken, keys); held !== undefined; held = findHeld(taken, keys)) {
    await orAborted(signal, held);
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const key of keys) taken.set(key, promise);
  try {
    return await work();
  } finally {
    for (const key of keys) taken.delete(key);
    resolve();
  }
}

function findHeld(taken: Map<string, Promise<void>>, keys: readonly string[]): Promise<void> | undefined {
  const key = keys.find((each) => taken.has(each));
  return key === undefined ? undefined : taken.get(key);
}
