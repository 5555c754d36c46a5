import { setTimeout as sleep } from 'node:timers/promises';

/** Thrown inside a handler when a fault has destroyed the connection. */
export class ConnectionCut extends Error {}

/** Thrown inside a handler when a fault answers in the middle of the upload. */
export class AnsweredEarly extends Error {}

export async function* counted(
  source: AsyncIterable<Buffer>,
  add: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    add(chunk.length);
    yield chunk;
  }
}

/** The source until it has given this many bytes; then the error is thrown. */
export async function* failingAfter(
  source: AsyncIterable<Buffer>,
  bytes: number,
  fail: () => Error,
): AsyncGenerator<Buffer> {
  let left = bytes;
  for await (const chunk of source) {
    if (chunk.length >= left) {
      yield chunk.subarray(0, left);
      throw fail();
    }
    left -= chunk.length;
    yield chunk;
  }
  throw fail();
}

/** The first so many bytes of the source. */
export async function* firstBytes(source: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let left = bytes;
  for await (const chunk of source) {
    if (left > 0) {
      yield chunk.subarray(0, left);
    }
    left -= chunk.length;
    if (left <= 0) {
      return;
    }
  }
}

const SLICES_PER_SECOND = 10;

/** The source at no more than this speed, a tenth of a second's bytes at a time. */
export async function* throttled(
  source: AsyncIterable<Buffer>,
  bytesPerSecond: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const slice = Math.max(1, Math.floor(bytesPerSecond / SLICES_PER_SECOND));
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += slice) {
      const part = chunk.subarray(at, at + slice);
      await sleep((part.length / bytesPerSecond) * 1000, undefined, { signal });
      yield part;
    }
  }
}
