import { isUtf8 } from 'node:buffer';
import { isLoadError, LoadError } from '../errors.ts';
import { COLUMN_DELIMITERS } from '../job.ts';
import type { SourceRecord } from '../record.ts';
import { CsvEncoder, type CsvFormat } from './encoder.ts';
import { FieldSlices } from './field-slices.ts';
import { formatCount, RECORD_CHARACTERS } from './limits.ts';
import {
  EMBEDDED_CRLF,
  EMBEDDED_LF,
  EMPTY_KEY,
  MALFORMED,
  RecordScanner,
  UNCLOSED,
} from './record-scanner.ts';
import { splitRow } from './row.ts';

/** What of a CSV file is uploaded: the columns of the job, and for each the position of its value in the file. */
export interface CsvSelection {
  columns: string[];
  sources: number[];
  /** The column of the job in which no record may be empty. */
  keyColumn: string | undefined;
}

export interface RecutterOptions extends CsvFormat {
  /** Decides, from the header of the file, what is uploaded. */
  select: (header: string[]) => CsvSelection;
  fieldLengths?: ReadonlyMap<string, number> | undefined;
}

/** Why a record of a CSV file is not uploaded. `record` holds its values by column, or its text under `_csv`. */
export interface CsvFault {
  code: 'RECORD_TOO_LARGE' | 'RECORD_INVALID';
  message: string;
  record: SourceRecord;
}

/** What the header of a file leads to. */
interface Plan {
  selection: CsvSelection;
  width: number;
  encoder: CsvEncoder;
  /** Undefined: every record is uploaded whole. */
  slices: FieldSlices | undefined;
}

const LF = 10;

/**
 * Cuts CSV text into records for upload without making objects of them: bytes in, bytes out. The text has the job's
 * delimiter, either line ending, a header, and perhaps a byte order mark, which is taken off since it would break the job
 * (reference §4). Line breaks inside values become the job's. Records that need no change (nearly all) are slices of what
 * was fed. Empty lines are left out.
 *
 * A record that Salesforce could not take has a `fault` instead of bytes: the wrong number of values, stray quotes, text
 * that is not UTF-8, NUL, no value in the key column, or a value or record beyond the limits.
 */
export class CsvRecutter {
  /** The record found by `next()`, without line ending: `bytes` from `start` to `end`, good until the next call. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  fault: CsvFault | undefined;

  readonly #options: RecutterOptions;
  readonly #scanner: RecordScanner;
  readonly #delimiter: string;
  /** What a record may have and still go as it is. */
  readonly #harmless: number;
  #plan: Plan | undefined;
  #notUtf8 = false;

  constructor(options: RecutterOptions) {
    this.#options = options;
    this.#delimiter = COLUMN_DELIMITERS[options.columnDelimiter];
    this.#harmless = options.lineEnding === 'LF' ? EMBEDDED_LF : EMBEDDED_CRLF;
    const { columnDelimiter } = options;
    this.#scanner = new RecordScanner({ columnDelimiter, subject: 'The CSV', code: 'RECORD_INVALID' });
  }

  /** The columns of the job, and the header as uploaded with its line ending; known with the first record. */
  get columns(): string[] {
    return this.#plan?.selection.columns ?? [];
  }

  get header(): string {
    return this.#plan?.encoder.header ?? '';
  }

  /** Takes the next chunk, when `next()` has said false. @throws LoadError RECORD_INVALID for a record that never ends */
  feed(chunk: Buffer): void {
    this.#scanner.feed(chunk);
    const known = this.#scanner.bytes;
    this.#notUtf8 = !isUtf8(known.subarray(0, known.lastIndexOf(LF) + 1));
  }

  /** Finds the next record. @throws LoadError CONFIG_INVALID for a header that cannot be uploaded */
  next(): boolean {
    if (!this.#scanner.next()) return false;
    if (this.#plan) {
      this.#take(this.#plan);
      return true;
    }
    this.#plan = this.#readHeader();
    return this.next();
  }

  /**
   * Finds a last record that no line end closes, when `next()` has said false for the last chunk.
   *
   * @throws LoadError RECORD_INVALID when the text ends within quotes, as a file does that was cut off
   */
  finish(): boolean {
    if (!this.#scanner.finish()) return false;
    if ((this.#scanner.flags & UNCLOSED) !== 0) throw this.#cutOff();
    this.#notUtf8 = !isUtf8(this.#scanner.bytes);
    if (this.#plan) {
      this.#take(this.#plan);
      return true;
    }
    this.#plan = this.#readHeader();
    return false;
  }

  /** The record found, by column, for those who cannot use it after all. */
  record(): SourceRecord {
    const values = splitRow(this.bytes.toString('utf8', this.start, this.end), this.#delimiter) ?? [];
    return Object.fromEntries(this.columns.map((name, index) => [name, values[index]]));
  }

  #readHeader(): Plan {
    const { bytes, start, end, flags } = this.#scanner;
    const header = splitRow(bytes.toString('utf8', start, end), this.#delimiter);
    if (!header || (flags & MALFORMED) !== 0 || !isUtf8(bytes.subarray(start, end))) {
      throw new LoadError(
        'CONFIG_INVALID',
        'The CSV has a header that cannot be read: its quotes do not add up, or it is not UTF-8.',
      );
    }
    const selection = this.#options.select(header);
    const { columns, sources, keyColumn } = selection;
    const isWhole = sources.length === header.length && sources.every((source, index) => source === index);
    this.#scanner.keyColumn = keyColumn === undefined ? -1 : (sources[columns.indexOf(keyColumn)] ?? -1);
    return {
      selection,
      width: header.length,
      encoder: new CsvEncoder({ ...this.#options, columns, nulls: 'ignore' }),
      slices: isWhole ? undefined : new FieldSlices(this.#delimiter, sources),
    };
  }

  #take(plan: Plan): void {
    const { bytes, start, end, flags, columns } = this.#scanner;
    this.fault = undefined;
    const isSound =
      (flags & ~this.#harmless) === 0 && columns === plan.width && end - start <= RECORD_CHARACTERS;
    if (!isSound || this.#notUtf8) {
      this.#takeWithCare(plan);
      return;
    }
    if (plan.slices) {
      const length = plan.slices.copy(bytes, start, end);
      this.#give(plan.slices.target, 0, length);
      return;
    }
    this.#give(bytes, start, end);
  }

  #give(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** A record that something was seen of: decoded, judged, and if nothing is wrong with it written anew. */
  #takeWithCare(plan: Plan): void {
    const { bytes, start, end, flags, line } = this.#scanner;
    const raw = bytes.subarray(start, end);
    if (!isUtf8(raw)) {
      this.fault = unreadable(line, 'is not UTF-8', raw.toString('latin1'));
      return;
    }
    const text = raw.toString('utf8');
    const values = (flags & MALFORMED) === 0 ? splitRow(text, this.#delimiter) : undefined;
    if (!values) {
      this.fault = unreadable(
        line,
        'has a quote within a value that is not quoted, or text beside the quotes',
        text,
      );
      return;
    }
    if (values.length !== plan.width) {
      const counts = `has ${formatCount(values.length)} values, the header ${formatCount(plan.width)} columns`;
      this.fault = unreadable(line, counts, text);
      return;
    }
    this.#rewrite(
      plan,
      plan.selection.sources.map((source) => values[source]),
    );
  }

  #rewrite({ selection, encoder }: Plan, values: unknown[]): void {
    const { flags, line } = this.#scanner;
    const record = Object.fromEntries(selection.columns.map((name, index) => [name, values[index]]));
    if ((flags & EMPTY_KEY) !== 0) {
      const message = `${selection.keyColumn} is empty: the record cannot be told from others.`;
      this.fault = { code: 'RECORD_INVALID', message: onLine(line, message), record };
      return;
    }
    try {
      const bytes = Buffer.from(encoder.lineOf(values));
      this.#give(bytes, 0, bytes.length);
    } catch (error) {
      if (!isLoadError(error)) throw error;
      const code = error.code === 'RECORD_TOO_LARGE' ? 'RECORD_TOO_LARGE' : 'RECORD_INVALID';
      this.fault = { code, message: onLine(line, error.message), record };
    }
  }

  #cutOff(): LoadError {
    return new LoadError(
      'RECORD_INVALID',
      `The CSV ends within the quotes of a value, in the record that begins on line ${this.#scanner.line}: it was probably cut off.`,
    );
  }
}

function unreadable(line: number, what: string, text: string): CsvFault {
  return { code: 'RECORD_INVALID', message: onLine(line, `The record ${what}.`), record: { _csv: text } };
}

function onLine(line: number, message: string): string {
  return `CSV line ${line}: ${message}`;
}
