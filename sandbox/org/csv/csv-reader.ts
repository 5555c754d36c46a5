import { StringDecoder } from 'node:string_decoder';
import { type ColumnDelimiter, DELIMITERS } from './dialect.ts';

/** One record: its values as text, unquoted. `faulty` marks a blank beside a quote, an error of this row alone. */
export interface CsvRow {
  values: string[];
  faulty: boolean;
}

/**
 * The org's own CSV reader. It shares nothing with the loader's, so that a misreading of the rules cannot hide in both.
 * Files that reach it have passed CsvScan; what is broken beyond that (in files of jobs that failed) it reads leniently.
 */
export class CsvReader {
  readonly #delimiter: string;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(delimiter: ColumnDelimiter) {
    this.#delimiter = DELIMITERS[delimiter];
  }

  /** The complete records of everything pushed so far that were not given out before. */
  push(chunk: Buffer): CsvRow[] {
    return this.#read(this.#rest + this.#decoder.write(chunk), false);
  }

  /** The last record, when the file does not end with a line end. */
  end(): CsvRow[] {
    return this.#read(this.#rest + this.#decoder.end(), true);
  }

  #read(text: string, isLast: boolean): CsvRow[] {
    const rows: CsvRow[] = [];
    let at = 0;
    let quote = text.indexOf('"');
    while (at < text.length) {
      const end = text.indexOf('\n', at);
      quote = quote !== -1 && quote < at ? text.indexOf('"', at) : quote;
      const plain = quote === -1 || (end !== -1 && quote > end);
      if (plain) {
        if (end === -1 && !isLast) {
          break;
        }
        const line = text.slice(at, end === -1 ? text.length : end);
        const content = line.endsWith('\r') ? line.slice(0, -1) : line;
        if (content !== '') {
          rows.push({ values: content.split(this.#delimiter), faulty: false });
        }
        at = end === -1 ? text.length : end + 1;
        continue;
      }
      const row = this.#readQuoted(text, at, isLast);
      if (!row) {
        break;
      }
      rows.push(row.row);
      at = row.next;
    }
    this.#rest = text.slice(at);
    return rows;
  }

  /** A record with at least one quote, or undefined when it is not complete yet. */
  #readQuoted(text: string, start: number, isLast: boolean): { row: CsvRow; next: number } | undefined {
    const values: string[] = [];
    let faulty = false;
    let at = start;
    for (;;) {
      let value: string;
      const opening = skipBlanks(text, at);
      if (text[opening] === '"') {
        const closing = closingQuote(text, opening + 1);
        if (closing === -1 || (closing + 1 >= text.length && !isLast)) {
          if (!isLast) {
            return undefined;
          }
          values.push(text.slice(opening + 1));
          return { row: { values, faulty }, next: text.length };
        }
        const after = skipBlanks(text, closing + 1);
        faulty ||= opening !== at || after !== closing + 1;
        value = text.slice(opening + 1, closing).replaceAll('""', '"');
        at = after;
        const stop = endOfField(text, at, this.#delimiter);
        value += stop > at ? text.slice(at, stop).replace(/\r$/, '') : '';
        at = stop;
      } else {
        const stop = endOfField(text, at, this.#delimiter);
        const isLineEnd = stop >= text.length || text[stop] === '\n';
        value =
          isLineEnd && text[stop - 1] === '\r' && stop > at ? text.slice(at, stop - 1) : text.slice(at, stop);
        at = stop;
      }
      values.push(value);
      if (at >= text.length) {
        return isLast ? { row: { values, faulty }, next: at } : undefined;
      }
      if (text[at] === '\n') {
        return { row: { values, faulty }, next: at + 1 };
      }
      at++;
    }
  }
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ') {
    at++;
  }
  return at;
}

function closingQuote(text: string, from: number): number {
  let at = text.indexOf('"', from);
  while (at !== -1 && text[at + 1] === '"') {
    at = text.indexOf('"', at + 2);
  }
  return at;
}

function endOfField(text: string, from: number, delimiter: string): number {
  let at = from;
  while (at < text.length && text[at] !== delimiter && text[at] !== '\n') {
    at++;
  }
  return at;
}
