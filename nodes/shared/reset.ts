import { isRecord } from '../../src/record.ts';
import type { Message } from './red.ts';
import { sequenceMark } from './sequence-mark.ts';
import { loadError } from './texts.ts';

/**
 * A message with `msg.reset`: a node that gathers forgets what it holds, as the core sequence nodes do. They ask whether the
 * property is there; here `false` and other empty values are none, as a reset drops what comes with it, and of rows that is
 * a loss. A batch that carries the property along from the message that started its sequence is none either.
 */
export function isReset(message: Message): boolean {
  return Boolean(message.reset) && sequenceMark(message) === undefined;
}

/** Records beside a reset would be dropped with what it forgets, without a word. */
export function refuseRecords({ payload }: Message): void {
  if (Array.isArray(payload) && payload.some(isRecord)) throw loadError('RECORD_INVALID', 'resetWithRows');
}
