import { types } from 'node:util';
import { LoadError } from '../errors.ts';
import { COLUMN_DELIMITERS, type ColumnDelimiter, LINE_ENDINGS, type LineEnding } from '../job.ts';
import type { SourceRecord } from '../record.ts';
import { checkColumnName, checkHeader, fieldIdentity, flatten, quotedName } from './columns.ts';
import { FIELD_CHARACTERS, formatCount, LONGEST_FIELD_CHARACTERS, RECORD_CHARACTERS } from './limits.ts';

/** What `null` is uploaded as: `#N/A`, which empties the field, or nothing, which leaves it as it is. */
export type NullHandling = 'clear' | 'ignore';

/** Salesforce's word for null in CSV (Bulk API 2.0 guide, "Prepare CSV Files"). */
export const NULL_TEXT = '#N/A';

export interface CsvFormat {
  columnDelimiter: ColumnDelimiter;
  lineEnding: LineEnding;
}

export interface EncoderOptions extends CsvFormat {
  columns: readonly string[];
  nulls: NullHandling;
  /** Lengths of the object's fields where they are known, by API name. */
  fieldLengths?: ReadonlyMap<string, number> | undefined;
}

/**
 * Records as the CSV of an ingest job.
 *
 * | value | text |
 * |---|---|
 * | absent, `undefined` | empty: the field is left alone |
 * | `null` | `#N/A` with `nulls: clear`, else empty |
 * | `''` | empty under both settings: Salesforce reads it as "leave alone" too |
 * | text | as it is, never trimmed; the text `#N/A` is Salesforce's null and goes as such |
 * | number, bigint, boolean | as JavaScript writes it; NaN and infinities are invalid |
 * | Date | ISO 8601 dateTime in UTC with milliseconds; for a date field select text (`yyyy-mm-dd`) |
 * | Buffer, Uint8Array | base64 |
 * | object | a parent reference, one level |
 * | anything else (array, function, symbol, Date without a time) | RECORD_INVALID |
 *
 * Quoted is what holds the delimiter, a quote, CR or LF, nothing else. Every line break inside a value (CRLF, LF, and CR
 * alone) becomes the job's line ending, since an org that finds the other kind fails the whole job (reference §4). NUL is
 * RECORD_INVALID: no text field can hold it. A lone surrogate becomes U+FFFD when the text becomes UTF-8. A record of one
 * empty column is `""`, because an empty line is no record.
 */
export class CsvEncoder {
  readonly columns: readonly string[];
  /** The header with its line ending. */
  readonly header: string;
  readonly #delimiter: string;
  readonly #lineEnding: string;
  readonly #null: string;
  readonly #special: RegExp;
  readonly #limits: number[];

  /** @throws LoadError CONFIG_INVALID naming the column, or the limit of the header that is passed */
  constructor({ columns, columnDelimiter, lineEnding, nulls, fieldLengths }: EncoderOptions) {
    this.columns = columns;
    this.#delimiter = COLUMN_DELIMITERS[columnDelimiter];
    this.#lineEnding = LINE_ENDINGS[lineEnding];
    this.#null = nulls === 'clear' ? NULL_TEXT : '';
    this.#special = specialCharacters(this.#delimiter);
    this.#limits = fieldLimits(columns, fieldLengths);
    columns.forEach(checkColumnName);
    const header = columns.map((name) => this.#cell(name)).join(this.#delimiter);
    checkHeader(columns, header);
    this.header = header + this.#lineEnding;
  }

  /**
   * One record with its line ending. Keys that are no columns are left out.
   *
   * @throws LoadError RECORD_INVALID or RECORD_TOO_LARGE naming the column, never its value
   */
  encode(record: SourceRecord): string {
    const flat = flatten(record);
    return this.encodeValues(
      this.columns.map((name) => (Object.hasOwn(flat, name) ? flat[name] : undefined)),
    );
  }

  /** One record from its values in the order of the columns. @throws as `encode` */
  encodeValues(values: readonly unknown[]): string {
    return this.lineOf(values) + this.#lineEnding;
  }

  /** `encodeValues` without the line ending. */
  lineOf(values: readonly unknown[]): string {
    const count = this.columns.length;
    let line = this.#text(values[0], 0);
    for (let index = 1; index < count; index += 1) line += this.#delimiter + this.#text(values[index], index);
    if (line === '' && count === 1) line = '""';
    if (line.length > RECORD_CHARACTERS) this.#checkRecord(values);
    return line;
  }

  #text(value: unknown, index: number): string {
    switch (typeof value) {
      case 'string':
        if (value.length > FIELD_CHARACTERS) this.#checkField(value, index);
        return this.#special.test(value) ? this.#quoted(value, index) : value;
      case 'number':
        if (!Number.isFinite(value))
          throw this.#invalid(index, 'is a number without a value (NaN or infinite)');
        return String(value);
      case 'undefined':
        return '';
      case 'boolean':
        return value ? 'true' : 'false';
      case 'bigint':
        return String(value);
      case 'object':
        return value === null ? this.#null : this.#objectText(value, index);
      default:
        throw this.#invalid(index, `holds a ${typeof value}`);
    }
  }

  #objectText(value: object, index: number): string {
    if (types.isDate(value)) {
      if (Number.isNaN(value.getTime())) throw this.#invalid(index, 'holds a Date without a time');
      return value.toISOString();
    }
    if (types.isUint8Array(value)) {
      const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
      this.#checkField(text, index);
      return text;
    }
    if (Array.isArray(value)) {
      throw this.#invalid(index, 'holds an array (for a multi-select picklist join its values with ";")');
    }
    throw this.#invalid(index, 'holds an object that is neither a date, nor bytes, nor a parent reference');
  }

  #quoted(value: string, index: number): string {
    if (value.includes('\0')) throw this.#invalid(index, 'holds a NUL character');
    return this.#cell(value.replace(/\r\n|\r|\n/g, this.#lineEnding));
  }

  #cell(text: string): string {
    return this.#special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  #checkField(text: string, index: number): void {
    const limit = this.#limits[index] ?? FIELD_CHARACTERS;
    if (text.length <= limit) return;
    throw new LoadError(
      'RECORD_TOO_LARGE',
      `${this.#name(index)} has ${formatCount(text.length)} characters, Salesforce takes ${formatCount(limit)} in a field.`,
    );
  }

  #checkRecord(values: readonly unknown[]): void {
    const size = this.columns.reduce((sum, _, index) => sum + this.#size(values[index], index), 0);
    if (size <= RECORD_CHARACTERS) return;
    throw new LoadError(
      'RECORD_TOO_LARGE',
      `The record has ${formatCount(size)} characters, Salesforce takes ${formatCount(RECORD_CHARACTERS)}.`,
    );
  }

  #size(value: unknown, index: number): number {
    return typeof value === 'string' ? value.length : this.#text(value, index).length;
  }

  #invalid(index: number, what: string): LoadError {
    return new LoadError('RECORD_INVALID', `${this.#name(index)} ${what}: it cannot be sent to Salesforce.`);
  }

  #name(index: number): string {
    return quotedName(this.columns[index] ?? '');
  }
}

function specialCharacters(delimiter: string): RegExp {
  const code = delimiter.charCodeAt(0).toString(16).padStart(2, '0');
  return new RegExp(`["\\r\\n\\x00\\x${code}]`);
}

function fieldLimits(
  columns: readonly string[],
  fieldLengths: ReadonlyMap<string, number> | undefined,
): number[] {
  const known = new Set([...(fieldLengths?.keys() ?? [])].map(fieldIdentity));
  return columns.map((name) =>
    known.has(fieldIdentity(name)) ? LONGEST_FIELD_CHARACTERS : FIELD_CHARACTERS,
  );
}
