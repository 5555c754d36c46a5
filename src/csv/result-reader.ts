import { createReadStream } from 'node:fs';
import { LoadError } from '../errors.ts';
import { COLUMN_DELIMITERS, type ColumnDelimiter } from '../job.ts';
import { quotedName } from './columns.ts';
import { FailedRowKeys } from './failed-row-key.ts';
import { formatCount } from './limits.ts';
import { RecordScanner, UNCLOSED } from './record-scanner.ts';
import { splitRow } from './row.ts';
import { rowMaker } from './row-maker.ts';

export { RecordCounter } from './record-counter.ts';

/** One record of a result file, by column name, in the order of the file's columns. All values are text. */
export type ResultRow = Record<string, string>;

export interface ReadRowsOptions {
  columnDelimiter: ColumnDelimiter;
  /** Rows given out at once, at most. */
  batchSize: number;
  signal?: AbortSignal | undefined;
  /** For messages: which of the result files this is. */
  kind?: string;
  /** The job whose failed rows these are: each row then has its `sf__Key` (design §4). */
  failedRowsOf?: string;
}

const CHUNK_BYTES = 256 * 1024;

/**
 * The records of a result file, on disk or as it comes, in batches, never more than one batch and one chunk in memory. Header names may be
 * quoted or not, lines may end with LF or CRLF, the last one with nothing; a byte order mark is taken off. Values are the
 * text between the quotes, line breaks as they came. A file without rows, or empty, gives no batch.
 *
 * @throws LoadError RESULTS_INCOMPLETE naming the kind of file and the line, when a row has another number of values than
 *   the header, or its quotes do not add up; the signal's reason when it is aborted
 */
export async function* readRows(
  source: string | AsyncIterable<Buffer>,
  options: ReadRowsOptions,
): AsyncGenerator<ResultRow[]> {
  const { signal } = options;
  signal?.throwIfAborted();
  const reader = new RowReader(options);
  // Whoever leaves the loop early, by an error or by not asking for more, closes the file with it.
  const chunks =
    typeof source === 'string' ? createReadStream(source, { highWaterMark: CHUNK_BYTES }) : source;
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    reader.feed(chunk);
    for (let rows = reader.batch(false); rows; rows = reader.batch(false)) {
      yield rows;
      signal?.throwIfAborted();
    }
  }
  const last = reader.batch(true);
  if (last) yield last;
}

class RowReader {
  readonly #options: ReadRowsOptions;
  readonly #kind: string;
  readonly #scanner: RecordScanner;
  readonly #delimiter: string;
  #width = 0;
  #rows: ResultRow[] = [];
  #makeRow: ((values: readonly string[]) => ResultRow) | undefined;
  #keys: FailedRowKeys | undefined;

  constructor(options: ReadRowsOptions) {
    this.#options = options;
    this.#kind = options.kind ?? (options.failedRowsOf === undefined ? 'results' : 'failedResults');
    this.#delimiter = COLUMN_DELIMITERS[options.columnDelimiter];
    const { columnDelimiter } = options;
    this.#scanner = new RecordScanner({
      columnDelimiter,
      subject: this.#subject,
      code: 'RESULTS_INCOMPLETE',
    });
  }

  get #subject(): string {
    return `The file of ${this.#kind}`;
  }

  feed(chunk: Buffer): void {
    this.#scanner.feed(chunk);
  }

  /** The next full batch; at the end of the file (`isLast`) what is left; undefined when there is nothing to give out. */
  batch(isLast: boolean): ResultRow[] | undefined {
    const { batchSize } = this.#options;
    while (this.#rows.length < batchSize && this.#scanner.next()) this.#take();
    if (isLast && this.#scanner.finish()) this.#take();
    if (this.#rows.length === 0 || (!isLast && this.#rows.length < batchSize)) return undefined;
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  #take(): void {
    const values = this.#values();
    if (!this.#makeRow) {
      this.#readHeader(values);
      return;
    }
    if (values.length !== this.#width) {
      throw this.#faulty(`has ${formatCount(values.length)} values for ${formatCount(this.#width)} columns`);
    }
    const row = this.#makeRow(values);
    if (this.#keys) row.sf__Key = this.#keys.keyOf(row);
    this.#rows.push(row);
  }

  #values(): string[] {
    const { bytes, start, end, flags } = this.#scanner;
    if ((flags & UNCLOSED) !== 0) throw this.#faulty('ends within quotes');
    const values = splitRow(bytes.toString('utf8', start, end), this.#delimiter);
    if (!values) throw this.#faulty('has text behind a closing quote');
    return values;
  }

  #readHeader(columns: string[]): void {
    const twice = columns.find((name, index) => columns.indexOf(name) !== index);
    if (twice !== undefined) throw this.#faulty(`has the column ${quotedName(twice)} twice`);
    const { failedRowsOf } = this.#options;
    this.#width = columns.length;
    this.#makeRow = rowMaker(failedRowsOf === undefined ? columns : [...columns, 'sf__Key']);
    this.#keys = failedRowsOf === undefined ? undefined : new FailedRowKeys(failedRowsOf, columns);
  }

  #faulty(what: string): LoadError {
    return new LoadError(
      'RESULTS_INCOMPLETE',
      `${this.#subject} cannot be read: line ${this.#scanner.line} ${what}. Download it again: send the job to the results node.`,
    );
  }
}
