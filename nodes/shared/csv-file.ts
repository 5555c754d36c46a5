import { createReadStream } from 'node:fs';
import { reasonOf } from '../../src/errors.ts';
import { loadError } from './texts.ts';

/**
 * The bytes of the file that `msg.filename` names. It is opened when the first of them is asked for, so that a message that
 * is refused leaves nothing open, and closed with the last one or when nobody asks for more.
 *
 * @throws LoadError RECORD_INVALID when it cannot be opened, or breaks off half-way
 */
export async function* csvFile(file: string): AsyncGenerator<Buffer> {
  let at = 0;
  try {
    for await (const chunk of createReadStream(file)) {
      at += chunk.length;
      yield chunk;
    }
  } catch (cause) {
    const reason = reasonOf(cause);
    if (at === 0) throw loadError('RECORD_INVALID', 'fileUnreadable', { file, reason }, { cause });
    throw loadError('RECORD_INVALID', 'fileBrokeOff', { file, at, reason }, { cause });
  }
}
