import type { Clock } from './clock.ts';
import { LoadError } from './errors.ts';

/** Does `work` with a signal that is aborted after `ms` by the given clock. */
export async function within<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => late.abort(new LoadError('SF_REQUEST_FAILED', `No answer within ${Math.round(ms / 1000)} s.`)),
    () => {}, // Done in time.
  );
  try {
    return await work(late.signal);
  } finally {
    done.abort();
  }
}

/** Does `work` with a signal that is aborted `ms` after the given one: what is under way may still come to its end. */
export async function withGrace<T>(
  clock: Clock,
  signal: AbortSignal,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  const begin = () => {
    clock.sleep(ms, done.signal).then(
      () => late.abort(signal.reason),
      () => {}, // Done in time.
    );
  };
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true, signal: done.signal });
  try {
    return await work(late.signal);
  } finally {
    done.abort();
  }
}

/**
 * What `work` comes to, or the signal's reason as soon as that is aborted; `work` itself is told nothing. So what is done on
 * behalf of several goes on when one of them leaves by its signal.
 */
export function orAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
