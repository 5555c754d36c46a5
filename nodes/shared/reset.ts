import type { Message } from './red.ts';
import { sequenceMark } from './sequence-mark.ts';

/**
 * A message with `msg.reset`: a node that gathers forgets what it holds, as the core sequence nodes do. A batch that carries
 * the property along from the message that started its sequence is none, and is not dropped for it.
 */
export function isReset(message: Message): boolean {
  return Object.hasOwn(message, 'reset') && sequenceMark(message) === undefined;
}
