import { type Batch, OutputSequence, readBatch } from './batches.ts';
import type { Message } from './red.ts';
import { sequenceMark } from './sequence-mark.ts';
import { onSequenceOver } from './sequence-registry.ts';

/** Sequences that never end are forgotten, oldest first, so that they do not pile up. */
const MOST_OPEN = 1_000;

type PerOutput = (Message | null)[];

/**
 * Sends the rows of one sequence to several outputs, each numbered on its own, and closes all of them with the input's
 * last batch. That batch is known by `parts.count` and by how many came; order does not matter. A tracked sequence whose
 * last batch was dropped on the way is closed when its sender says that it is over.
 */
export class SequenceSplitter {
  readonly #outputs: number;
  readonly #sendLate: (messages: PerOutput) => void;
  readonly #open = new Map<string, SplitSequence>();

  /** `sendLate`: for closing batches that belong to no message in hand (`node.send`). */
  constructor(outputs: number, sendLate: (messages: PerOutput) => void) {
    this.#outputs = outputs;
    this.#sendLate = sendLate;
  }

  /**
   * One message for each output, or null. `rows` holds the rows of each output. A batch that is alone gives every output
   * one message, empty where it has no rows for it.
   */
  split(message: Message, rows: readonly (readonly unknown[])[]): PerOutput {
    const batch = readBatch(message);
    if (batch.sequenceId === undefined)
      return new SplitSequence(this.#outputs, undefined).take(message, batch, rows);
    const sequence = this.#sequence(batch.sequenceId, message);
    const messages = sequence.take(message, batch, rows);
    if (sequence.complete) this.#forget(batch.sequenceId);
    return messages;
  }

  /** For `close` and `msg.reset`: forgets all. What comes of a sequence after that begins another. */
  clear(): void {
    for (const id of [...this.#open.keys()]) this.#forget(id);
  }

  #sequence(id: string, message: Message): SplitSequence {
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const sequence = new SplitSequence(this.#outputs, outerParts(message));
    this.#open.set(id, sequence);
    const [oldest] = this.#open.keys();
    if (this.#open.size > MOST_OPEN && oldest !== undefined) this.#forget(oldest);
    this.#closeWhenOver(id, sequence, message);
    return sequence;
  }

  #closeWhenOver(id: string, sequence: SplitSequence, message: Message): void {
    const mark = sequenceMark(message);
    if (mark === undefined) return;
    sequence.stopListening = onSequenceOver(mark.id, (state) => {
      this.#forget(id);
      if (state === 'over') this.#sendLate(sequence.closing());
    });
  }

  #forget(id: string): void {
    this.#open.get(id)?.stopListening?.();
    this.#open.delete(id);
  }
}

class SplitSequence {
  readonly #outputs: OutputSequence[];
  #received = 0;
  #count: number | undefined;
  /** What the closing batches carry when they come late. */
  #carried: Message = {};
  stopListening: (() => void) | undefined;

  constructor(outputs: number, outer: unknown) {
    this.#outputs = Array.from({ length: outputs }, () => new OutputSequence({ outer }));
  }

  get complete(): boolean {
    return this.#count !== undefined && this.#received >= this.#count;
  }

  take(message: Message, batch: Batch, rows: readonly (readonly unknown[])[]): PerOutput {
    this.#received += 1;
    this.#count ??= batch.count;
    const { payload, ...carried } = message;
    this.#carried = carried;
    return this.#outputs.map((output, index) => {
      const own = rows[index] ?? [];
      return own.length > 0 || this.complete ? output.batch(carried, own, this.complete) : null;
    });
  }

  closing(): PerOutput {
    return this.#outputs.map((output) => output.closing(this.#carried) ?? null);
  }
}

function outerParts(message: Message): unknown {
  const { parts } = message;
  return typeof parts === 'object' && parts !== null && 'parts' in parts ? parts.parts : undefined;
}
