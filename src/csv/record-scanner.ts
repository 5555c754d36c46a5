import { type ErrorCode, LoadError } from '../errors.ts';
import { COLUMN_DELIMITERS, type ColumnDelimiter } from '../job.ts';
import { formatCount, UNENDING_RECORD_BYTES } from './limits.ts';

/** What is known of a record from its bytes alone; bits, because millions of records pass by. */
export const MALFORMED = 1;
export const LONE_CR = 2;
export const EMBEDDED_LF = 4;
export const EMBEDDED_CRLF = 8;
export const HAS_NUL = 16;
export const LONG_FIELD = 32;
export const EMPTY_KEY = 64;
export const UNCLOSED = 128;

const LF = 10;
const CR = 13;
const QUOTE = 34;
const NUL = 0;

/** A value of more bytes than this may have more characters than a field takes; fewer never have. */
const FIELD_BYTES = 32_000;
const NO_KEY = -1;
const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

export interface ScannerOptions {
  columnDelimiter: ColumnDelimiter;
  /** For messages: what is being read, as the subject of a sentence ("The CSV"), and the code of its errors. */
  subject: string;
  code: ErrorCode;
}

/**
 * Finds the records of a CSV stream in its bytes. UTF-8 needs no decoding for that: no byte of a longer character looks
 * like a quote, a delimiter or a line end. Feed a chunk, then call `next()` until it says false; `finish()` gives a last
 * record that no line end closes. The fields below describe the record found, until the next call.
 *
 * A byte order mark at the very beginning is passed over. Records end with LF or CRLF, whichever comes; empty lines are none. A quote opens a value only as its first byte.
 * Anything but a delimiter or line end behind a closing quote, or a quote within an unquoted value, marks a record as
 * MALFORMED; so does the end of the stream within quotes, which only `finish()` can see (UNCLOSED).
 */
export class RecordScanner {
  /** What `start`, `end` and `next` point into. Chunks are not copied unless a record spans two of them. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  /** Behind the last byte of the record, its line ending left out. */
  end = 0;
  /** Behind the line ending. */
  after = 0;
  columns = 0;
  flags = 0;
  /** The line on which the record begins, counted from 1, line breaks inside values included. */
  line = 1;
  /** The column whose empty value raises EMPTY_KEY. */
  keyColumn = NO_KEY;

  readonly #options: ScannerOptions;
  readonly #unquoted: Uint8Array;
  readonly #delimiter: number;
  #joined = Buffer.alloc(0);
  #at = 0;
  #recordStart = 0;
  #fieldStart = 0;
  #isBegun = false;
  #inQuotes = false;
  #pendingColumns = 1;
  #pendingFlags = 0;
  #lines = 0;
  #linesBefore = 0;

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.#delimiter = COLUMN_DELIMITERS[options.columnDelimiter].charCodeAt(0);
    this.#unquoted = new Uint8Array(256);
    for (const byte of [LF, CR, QUOTE, NUL, this.#delimiter]) this.#unquoted[byte] = 1;
  }

  /**
   * Takes the next chunk, which may not be changed before the one after it. What `next()` has not given out is kept.
   *
   * @throws LoadError when the unfinished record is longer than any record can be
   */
  feed(chunk: Buffer): void {
    const rest = this.bytes.length - this.#recordStart;
    if (rest > UNENDING_RECORD_BYTES) throw this.#unending();
    this.bytes = rest === 0 ? chunk : this.#join(rest, chunk);
    this.#at -= this.#recordStart;
    this.#fieldStart -= this.#recordStart;
    this.#recordStart = 0;
    if (!this.#isBegun && this.bytes.length >= BYTE_ORDER_MARK.length) this.#begin();
  }

  /** Finds the next complete record. False: the chunk holds no more of them. */
  next(): boolean {
    const bytes = this.bytes;
    const special = this.#unquoted;
    const length = bytes.length;
    let at = this.#at;
    for (;;) {
      if (this.#inQuotes) {
        at = this.#skipQuoted(at);
        if (this.#inQuotes) break;
      }
      while (at < length && special[bytes[at] as number] === 0) at += 1;
      if (at >= length) break;
      const byte = bytes[at] as number;
      if (byte === this.#delimiter) {
        this.#endField(at);
        this.#pendingColumns += 1;
        this.#fieldStart = at + 1;
      } else if (byte === LF) {
        if (this.#endRecord(at, at + 1)) return true;
      } else if (byte === CR) {
        if (at + 1 >= length) break;
        if (bytes[at + 1] === LF) {
          at += 1;
          if (this.#endRecord(at - 1, at + 1)) return true;
        } else {
          this.#pendingFlags |= LONE_CR;
        }
      } else if (byte === NUL) {
        this.#pendingFlags |= HAS_NUL;
      } else if (at === this.#fieldStart) {
        this.#inQuotes = true;
      } else {
        this.#pendingFlags |= MALFORMED;
      }
      at += 1;
    }
    this.#at = at;
    return false;
  }

  /** The last record, when no line end closes it. A CR alone at the very end is taken for half of its line ending. */
  finish(): boolean {
    const length = this.bytes.length;
    const awaited = this.bytes[this.#at];
    if (this.#inQuotes && awaited !== QUOTE) this.#pendingFlags |= MALFORMED | UNCLOSED;
    const end = !this.#inQuotes && awaited === CR ? length - 1 : length;
    return this.#recordStart < length && this.#endRecord(end, length);
  }

  /** The unfinished record and the chunk behind it, in one piece of memory that serves again and again. */
  #join(rest: number, chunk: Buffer): Buffer {
    const size = rest + chunk.length;
    const target = this.#joined.length < size ? Buffer.allocUnsafeSlow(size * 2) : this.#joined;
    this.bytes.copy(target, 0, this.#recordStart);
    chunk.copy(target, rest);
    this.#joined = target;
    return target.subarray(0, size);
  }

  /** None of the bytes of a mark is special, so it does no harm to have scanned a part of it. */
  #begin(): void {
    this.#isBegun = true;
    const isMarked = this.bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
    if (this.#lines > 0 || !isMarked) return;
    this.#recordStart = BYTE_ORDER_MARK.length;
    this.#fieldStart = BYTE_ORDER_MARK.length;
    this.#at = BYTE_ORDER_MARK.length;
  }

  /** From within a quoted value to behind its closing quote, or to where more bytes are needed to tell. */
  #skipQuoted(from: number): number {
    const bytes = this.bytes;
    const length = bytes.length;
    let at = from;
    for (; at < length; at += 1) {
      const byte = bytes[at] as number;
      if (byte > QUOTE) continue;
      if (byte === QUOTE) {
        if (at + 1 >= length) return at;
        if (bytes[at + 1] !== QUOTE) {
          this.#inQuotes = false;
          return this.#behindQuote(at + 1);
        }
        at += 1;
      } else if (byte === LF) {
        this.#pendingFlags |= EMBEDDED_LF;
        this.#lines += 1;
      } else if (byte === CR) {
        if (at + 1 >= length) return at;
        if (bytes[at + 1] === LF) {
          this.#pendingFlags |= EMBEDDED_CRLF;
          this.#lines += 1;
          at += 1;
        } else {
          this.#pendingFlags |= LONE_CR;
        }
      } else if (byte === NUL) {
        this.#pendingFlags |= HAS_NUL;
      }
    }
    return at;
  }

  #behindQuote(at: number): number {
    const byte = this.bytes[at];
    if (byte !== this.#delimiter && byte !== LF && byte !== CR) this.#pendingFlags |= MALFORMED;
    return at;
  }

  #endField(end: number): void {
    if (end - this.#fieldStart > FIELD_BYTES) this.#pendingFlags |= LONG_FIELD;
    if (this.#pendingColumns - 1 === this.keyColumn && isEmpty(this.bytes, this.#fieldStart, end)) {
      this.#pendingFlags |= EMPTY_KEY;
    }
  }

  /** True when a record ended here, false for an empty line. */
  #endRecord(end: number, after: number): boolean {
    this.#endField(end);
    this.start = this.#recordStart;
    this.end = end;
    this.after = after;
    this.columns = this.#pendingColumns;
    this.flags = this.#pendingFlags;
    this.line = this.#linesBefore + 1;
    this.#lines += 1;
    this.#linesBefore = this.#lines;
    this.#at = after;
    this.#recordStart = after;
    this.#fieldStart = after;
    this.#pendingColumns = 1;
    this.#pendingFlags = 0;
    this.#inQuotes = false;
    return end > this.start;
  }

  #unending(): LoadError {
    return new LoadError(
      this.#options.code,
      `${this.#options.subject} has a record on line ${this.#linesBefore + 1} that does not end within ` +
        `${formatCount(UNENDING_RECORD_BYTES)} bytes: a quote that opens there is probably never closed.`,
    );
  }
}

/** No text, an empty pair of quotes, or Salesforce's null. */
function isEmpty(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > 6) return false;
  const text = bytes.toString('latin1', start, end);
  return text === '' || text === '""' || text === '#N/A' || text === '"#N/A"';
}
