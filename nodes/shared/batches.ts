import { randomUUID } from 'node:crypto';
import { isRecord, type SourceRecord } from '../../src/record.ts';
import type { Message } from './red.ts';
import { loadError, text } from './texts.ts';

/** `msg.parts` of a batch: Node-RED's sequence property, `count` on the last message only (design §4). */
export interface BatchParts {
  id: string;
  index: number;
  type: 'array';
  /** Rows in this batch. */
  len: number;
  count?: number;
  /** The parts of a sequence around this one. */
  parts?: unknown;
}

/** A message as a batch. A message without parts, or whose parts say nothing, is a sequence of its own. */
export interface Batch<R = SourceRecord> {
  rows: R[];
  /** Undefined: it is alone, first and last. */
  sequenceId: string | undefined;
  index: number;
  /** How many there are in all; only the last batch of a sequence knows. */
  count: number | undefined;
}

/** Rejects what is no array of plain objects, in words for the person who wired it. */
export function readBatch<R = SourceRecord>(message: Message): Batch<R> {
  const { payload } = message;
  if (!Array.isArray(payload)) throw loadError('RECORD_INVALID', 'noBatch', { kind: kindOf(payload) });
  const wrong = payload.findIndex((row) => !isRecord(row));
  if (wrong >= 0) {
    throw loadError('RECORD_INVALID', 'noRecord', { index: String(wrong), kind: kindOf(payload[wrong]) });
  }
  return { rows: payload as R[], ...place(message.parts) };
}

function place(parts: unknown): Pick<Batch, 'sequenceId' | 'index' | 'count'> {
  if (!isRecord(parts) || typeof parts.id !== 'string') return { sequenceId: undefined, index: 0, count: 1 };
  const count = Number.isSafeInteger(parts.count) ? Number(parts.count) : undefined;
  return { sequenceId: parts.id, index: Number(parts.index) || 0, count };
}

/** The batches of one output, numbered as they leave. Messages keep what they carried. */
export class OutputSequence {
  readonly id: string;
  readonly #outer: unknown;
  #next = 0;
  #closed = false;

  /** `outer`: the `msg.parts` of the message that starts the sequence, so that a join behind restores it. */
  constructor({ id = randomUUID(), outer }: { id?: string; outer?: unknown } = {}) {
    this.id = id;
    this.#outer = outer;
  }

  get sent(): number {
    return this.#next;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The next batch. Each message has a payload and parts of its own; all else is shared with `carried`. */
  batch(carried: Message, rows: readonly unknown[], last: boolean): Message {
    const index = this.#next++;
    this.#closed ||= last;
    const parts: BatchParts = { id: this.id, index, type: 'array', len: rows.length };
    if (last) parts.count = index + 1;
    if (this.#outer !== undefined) parts.parts = this.#outer;
    return { ...carried, payload: rows, parts };
  }

  /** The empty batch that closes the sequence; undefined when its last batch did. */
  closing(carried: Message): Message | undefined {
    return this.#closed ? undefined : this.batch(carried, [], true);
  }
}

/** Says of each value whether it is the last, by looking one ahead. Nothing at all yields nothing. */
export async function* markingLast<T>(values: AsyncIterable<T>): AsyncGenerator<{ value: T; last: boolean }> {
  let held: { value: T } | undefined;
  for await (const value of values) {
    if (held !== undefined) yield { value: held.value, last: false };
    held = { value };
  }
  if (held !== undefined) yield { value: held.value, last: true };
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return text('kind.missing');
  if (Array.isArray(value)) return text('kind.array');
  if (Buffer.isBuffer(value)) return text('kind.buffer');
  return typeof value === 'object' ? text('kind.object') : text('kind.value', { type: typeof value });
}
