import type { Message } from './red.ts';

/**
 * `msg._sequence`: which batch of which tracked sequence a message comes from (design §5). Carried like `_msgid`, while
 * `msg.parts` is renumbered on the way.
 */
export interface SequenceMark {
  id: string;
  index: number;
  /** When the sequence was opened, that is, not after its first row was read. Milliseconds since 1970. */
  openedAt: number;
  /** The batch that the sender itself was working on, where it was in a sequence. */
  outer?: SequenceMark;
  /** The node that rejected these records of a batch: with those of the other batches they are one, that of `outer`. */
  rejectedBy?: string;
}

/** Messages come from anywhere, so what looks like a mark may be none. */
export function sequenceMark(message: Message): SequenceMark | undefined {
  const mark = message._sequence;
  return isMark(mark) ? mark : undefined;
}

function isMark(mark: unknown): mark is SequenceMark {
  if (typeof mark !== 'object' || mark === null) return false;
  const { id, index, openedAt } = mark as Partial<SequenceMark>;
  return typeof id === 'string' && Number.isSafeInteger(index) && typeof openedAt === 'number';
}
