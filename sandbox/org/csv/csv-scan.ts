import { type ColumnDelimiter, DELIMITERS, type EmbeddedBreaks, type LineEnding } from './dialect.ts';

/** What makes a whole file unusable. */
export type CsvFault = 'line-ending' | 'unescaped-quote' | 'text-after-quote' | 'open-quote';

const LF = 10;
const CR = 13;
const QUOTE = 34;
const SPACE = 32;

const FIELD_START = 0;
const UNQUOTED = 1;
const QUOTED = 2;
const QUOTE_IN_QUOTED = 3;
const AFTER_QUOTE = 4;
const LEADING_BLANKS = 5;

/**
 * Counts the records of an upload and checks its quotes and line ends, byte by byte, while it arrives. Chunks without a
 * quote (nearly all, of nearly all loads) go by searching for line ends alone.
 *
 * A blank beside a quote is a fault of its row only (reference §4), so it is let through here; the reader marks the row.
 */
export class CsvScan {
  fault: CsvFault | undefined;
  #lines = 0;
  #state = FIELD_START;
  #previous = 0;
  #lineLength = 0;
  readonly #crlf: boolean;
  readonly #delimiter: number;
  readonly #embedded: EmbeddedBreaks;

  constructor(delimiter: ColumnDelimiter, lineEnding: LineEnding, embedded: EmbeddedBreaks) {
    this.#crlf = lineEnding === 'CRLF';
    this.#delimiter = DELIMITERS[delimiter].charCodeAt(0);
    this.#embedded = embedded;
  }

  /** Records so far, the header line not counted. After end() this is the number of records of the file. */
  get records(): number {
    return Math.max(0, this.#lines - 1);
  }

  push(chunk: Buffer): void {
    if (this.fault || chunk.length === 0) {
      return;
    }
    const quotes = this.#state >= QUOTED || chunk.indexOf(QUOTE) !== -1;
    if (quotes) {
      this.#walk(chunk);
    } else {
      this.#hop(chunk);
    }
    this.#previous = chunk[chunk.length - 1] as number;
  }

  end(): void {
    if (this.#state === QUOTED) {
      this.fault ??= 'open-quote';
    }
    if (this.#lineLength > 0) {
      this.#lines++;
      this.#lineLength = 0;
    }
  }

  /** No quote in the chunk and none open: only line ends matter. */
  #hop(chunk: Buffer): void {
    let from = 0;
    let mismatch = false;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      const before = at === 0 ? this.#previous : (chunk[at - 1] as number);
      mismatch ||= (before === CR) !== this.#crlf;
      const length = at - from + this.#lineLength - (before === CR ? 1 : 0);
      this.#lineLength = 0;
      this.#lines += length > 0 ? 1 : 0;
      from = at + 1;
    }
    this.#lineLength += chunk.length - from;
    if (mismatch) {
      this.fault = 'line-ending';
    }
    const last = chunk[chunk.length - 1] as number;
    this.#state = last === LF || last === this.#delimiter ? FIELD_START : UNQUOTED;
  }

  #walk(chunk: Buffer): void {
    let state = this.#state;
    let length = this.#lineLength;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (state === QUOTED) {
        if (byte === QUOTE) {
          state = QUOTE_IN_QUOTED;
        } else if (byte === LF && this.#badEmbedded(at === 0 ? this.#previous : (chunk[at - 1] as number))) {
          this.fault = 'line-ending';
          return;
        }
        length++;
        continue;
      }
      if (byte === LF) {
        const before = at === 0 ? this.#previous : (chunk[at - 1] as number);
        if ((before === CR) !== this.#crlf) {
          this.fault = 'line-ending';
          return;
        }
        this.#lines += length - (before === CR ? 1 : 0) > 0 ? 1 : 0;
        length = 0;
        state = FIELD_START;
        continue;
      }
      length++;
      if (byte === this.#delimiter) {
        state = FIELD_START;
      } else if (byte === QUOTE) {
        if (state === UNQUOTED || state === AFTER_QUOTE) {
          this.fault = 'unescaped-quote';
          return;
        }
        state = QUOTED;
      } else if (state === QUOTE_IN_QUOTED || state === AFTER_QUOTE) {
        if (byte !== SPACE && byte !== CR) {
          this.fault = 'text-after-quote';
          return;
        }
        state = AFTER_QUOTE;
      } else {
        state =
          byte === SPACE && (state === FIELD_START || state === LEADING_BLANKS) ? LEADING_BLANKS : UNQUOTED;
      }
    }
    this.#state = state;
    this.#lineLength = length;
  }

  #badEmbedded(before: number): boolean {
    return this.#embedded === 'none' || (this.#embedded === 'declared' && (before === CR) !== this.#crlf);
  }
}
