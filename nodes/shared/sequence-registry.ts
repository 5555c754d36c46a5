import type { Message } from './red.ts';
import { sequenceMark } from './sequence-mark.ts';

/**
 * The states of tracked sequences, for all nodes of the process: `open` while batches may come or are on their way,
 * `over` when the last one is through, `broken-off` when not all will come.
 */
export type SequenceState = 'open' | EndState;
export type EndState = 'over' | 'broken-off';
export type EndListener = (state: EndState, error: Error | undefined) => void;

/** Messages of a sequence may turn up after its end, but not for ever. */
const MOST_ENDED = 10_000;

interface End {
  state: EndState;
  error: Error | undefined;
}

interface Open {
  listeners: Set<EndListener>;
  stopsOnError: boolean;
}

const open = new Map<string, Open>();
const ended = new Map<string, End>();

/** Undefined: of no sequence that this process has opened, or of one that ended long ago. */
export function sequenceState(id: string): SequenceState | undefined {
  return open.has(id) ? 'open' : ended.get(id)?.state;
}

/**
 * Tells a node that gathers a sequence when its sender says that no more will come: at once, before the sender's own
 * `done`, or one turn later when that was before. A sequence that is not known never ends. Returns how to stop listening.
 */
export function onSequenceOver(id: string, listener: EndListener): () => void {
  const listeners = open.get(id)?.listeners;
  const end = ended.get(id);
  if (listeners !== undefined) listeners.add(listener);
  else if (end !== undefined) return laterUnlessStopped(() => listener(end.state, end.error));
  return () => {
    listeners?.delete(listener);
  };
}

export function registerSequence(id: string, { stopsOnError = true } = {}): void {
  open.set(id, { listeners: new Set(), stopsOnError });
}

/** The message is of a sequence that an error breaks off, or that is broken off: its sender does not call the job settled. */
export function stopsOnError(message: Message): boolean {
  const mark = sequenceMark(message);
  return (mark !== undefined && open.get(mark.id)?.stopsOnError) ?? isBrokenOff(message);
}

export function isBrokenOff(message: Message): boolean {
  const mark = sequenceMark(message);
  return mark !== undefined && ended.get(mark.id)?.state === 'broken-off';
}

/** The first end counts. A listener that throws is named by `failed`, and the others are told all the same. */
export function endSequence(id: string, end: End, failed: (error: unknown) => void): void {
  const listeners = open.get(id)?.listeners;
  if (listeners === undefined) return;
  open.delete(id);
  ended.set(id, end);
  const [oldest] = ended.keys();
  if (ended.size > MOST_ENDED && oldest !== undefined) ended.delete(oldest);
  for (const listener of listeners) {
    try {
      listener(end.state, end.error);
    } catch (error) {
      failed(error);
    }
  }
}

function laterUnlessStopped(action: () => void): () => void {
  const later = setImmediate(action);
  return () => clearImmediate(later);
}
