import type { ColumnDelimiter } from '../job.ts';
import { MALFORMED, RecordScanner } from './record-scanner.ts';

const QUOTE = 34;

/** Counts the records of a result file while it is being downloaded; line breaks inside values make no record. */
export class RecordCounter {
  readonly #columnDelimiter: ColumnDelimiter;
  #scanner: RecordScanner;
  #lines = 0;
  #width = 0;
  #end: { records: number; isClean: boolean } | undefined;

  constructor(columnDelimiter: ColumnDelimiter) {
    this.#columnDelimiter = columnDelimiter;
    this.#scanner = newScanner(columnDelimiter);
  }

  /** The next bytes of the body. @throws LoadError RESULTS_INCOMPLETE for a record that never ends */
  push(chunk: Buffer): void {
    if (this.#end) throw new Error('The records were counted already: reset() begins anew.');
    this.#scanner.feed(chunk);
    while (this.#scanner.next()) {
      if (this.#lines === 0) this.#width = this.#scanner.columns;
      this.#lines += 1;
    }
  }

  /** Forgets everything: the download begins anew. */
  reset(): void {
    this.#scanner = newScanner(this.#columnDelimiter);
    this.#lines = 0;
    this.#width = 0;
    this.#end = undefined;
  }

  /** Records of the whole body, without its header; one that no line end closes is counted. Ends the counting. */
  get records(): number {
    return this.#finished().records;
  }

  /**
   * False when the body stops inside a record: with fewer values than columns, or not behind the quote that closes its last
   * value (Salesforce quotes them all). A missing last line end is no sign of that: a recorded file has none. Ends the
   * counting.
   */
  get endedCleanly(): boolean {
    return this.#finished().isClean;
  }

  #finished(): { records: number; isClean: boolean } {
    this.#end ??= this.#finish();
    return this.#end;
  }

  #finish(): { records: number; isClean: boolean } {
    const scanner = this.#scanner;
    if (!scanner.finish()) return { records: Math.max(0, this.#lines - 1), isClean: true };
    const isSound = (scanner.flags & MALFORMED) === 0;
    if (this.#lines === 0) return { records: 0, isClean: isSound };
    const endsQuoted = scanner.bytes[scanner.end - 1] === QUOTE;
    return { records: this.#lines, isClean: isSound && endsQuoted && scanner.columns === this.#width };
  }
}

function newScanner(columnDelimiter: ColumnDelimiter): RecordScanner {
  return new RecordScanner({ columnDelimiter, subject: 'The result file', code: 'RESULTS_INCOMPLETE' });
}
