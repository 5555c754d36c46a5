import { createHash } from 'node:crypto';
import { fieldIdentity, flatten } from '../csv/columns.ts';
import { NULL_TEXT } from '../csv/encoder.ts';
import type { SourceRecord } from '../record.ts';

/**
 * Uploaded rows, to find the records again that they were: compared by what the job's columns say, as a job file would put
 * it. How line breaks and nulls were written is no difference, and equal rows count one by one.
 */
export class RecordBag {
  readonly #columns: readonly string[];
  readonly #counts = new Map<string, number>();
  #size = 0;

  /** `columns`: those of the job. */
  constructor(columns: readonly string[]) {
    this.#columns = columns.map(fieldIdentity).toSorted();
  }

  get size(): number {
    return this.#size;
  }

  add(row: SourceRecord): void {
    const key = this.#keyOf(row);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    this.#size += 1;
  }

  /** True when the record was in the bag, and is not any more. */
  take(record: SourceRecord): boolean {
    const key = this.#keyOf(record);
    const count = this.#counts.get(key) ?? 0;
    if (count === 0) return false;
    this.#counts.set(key, count - 1);
    this.#size -= 1;
    return true;
  }

  #keyOf(record: SourceRecord): string {
    const values = new Map(
      Object.entries(flatten(record)).map(([name, value]) => [fieldIdentity(name), value]),
    );
    const texts = this.#columns.map((column) => textOf(values.get(column)));
    return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
  }
}

function textOf(value: unknown): string {
  if (value === undefined || value === null || value === NULL_TEXT) return '';
  return String(value).replace(/\r\n|\r/g, '\n');
}
