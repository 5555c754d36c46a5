import type { CsvRow } from '../csv/csv-reader.ts';
import { DELIMITERS, LINE_ENDINGS, quoted } from '../csv/dialect.ts';
import { bulkError } from '../data/faults.ts';
import type { Draft, Outcome } from '../data/save.ts';
import type { Settings } from '../options.ts';
import type { Column } from './columns.ts';
import type { UploadHeader } from './header.ts';
import type { Job } from './job.ts';

/** The API version from which a failed update or delete names the record's id (reference §1.5). */
const FAILED_ID_SINCE = 53;
/** Up to this version failedResults had their columns in alphabetical order. */
const ALPHABETICAL_UNTIL = 49;

const SF_COLUMNS = {
  successfulResults: ['sf__Id', 'sf__Created'],
  failedResults: ['sf__Id', 'sf__Error'],
  unprocessedrecords: [],
} as const;

export const lineEnd = (job: Job, settings: Settings): string =>
  settings.resultLineEnding === 'job' ? LINE_ENDINGS[job.lineEnding] : '\n';

const isAlphabetical = (job: Job): boolean => Number(job.apiVersion) <= ALPHABETICAL_UNTIL;

/** The header line of a result file: the sf columns quoted, the uploaded ones as they were written. */
export function resultHeader(
  job: Job,
  settings: Settings,
  header: UploadHeader | undefined,
  file: keyof typeof SF_COLUMNS,
): string {
  const delimiter = DELIMITERS[job.columnDelimiter];
  const names = header?.names ?? [];
  const ordered = file === 'failedResults' && isAlphabetical(job) ? [...names].sort() : names;
  const isAsUploaded = settings.echoHeaderQuotes && ordered === names;
  const uploaded = isAsUploaded ? (header?.raw ?? '') : ordered.join(delimiter);
  const own = SF_COLUMNS[file].map(quoted);
  return [...own, ...(names.length > 0 ? [uploaded] : [])].join(delimiter) + lineEnd(job, settings);
}

/** Makes the lines of the result files of one job. */
export class ResultRows {
  readonly #job: Job;
  readonly #settings: Settings;
  readonly #columns: readonly Column[];
  readonly #names: readonly string[];
  readonly #delimiter: string;
  readonly #end: string;
  readonly #failedOrder: readonly number[];

  constructor(job: Job, settings: Settings, columns: readonly Column[], header: UploadHeader) {
    this.#job = job;
    this.#settings = settings;
    this.#columns = columns;
    this.#names = header.names;
    this.#delimiter = DELIMITERS[job.columnDelimiter];
    this.#end = lineEnd(job, settings);
    const upload = header.names.map((_, i) => i);
    this.#failedOrder = isAlphabetical(job)
      ? upload.sort((a, b) => (this.#names[a] ?? '').localeCompare(this.#names[b] ?? ''))
      : upload;
  }

  /** A success: values as they were understood, not as they were sent (reference §1.5). */
  success(row: CsvRow, draft: Draft, outcome: Extract<Outcome, { saved: unknown }>): string {
    const values = [quoted(outcome.saved.id), quoted(String(outcome.saved.created))];
    let position = 0;
    for (let i = 0; i < this.#columns.length; i++) {
      const kind = this.#columns[i]?.kind;
      const understood = kind === 'id' ? undefined : draft.values[position];
      position += kind === 'id' ? 0 : 1;
      values.push(quoted(kind === 'field' ? (understood ?? '') : (row.values[i] ?? '')));
    }
    return values.join(this.#delimiter) + this.#end;
  }

  /** A failure: the raw values. */
  failure(row: CsvRow, outcome: Extract<Outcome, { faults: unknown }>): string {
    const isKnown = this.#job.operation !== 'insert' && this.#job.operation !== 'upsert';
    const id = isKnown && Number(this.#job.apiVersion) >= FAILED_ID_SINCE ? outcome.id : '';
    const values = [quoted(id), quoted(bulkError(outcome.faults, this.#settings.faultJoiner))];
    for (const i of this.#failedOrder) {
      values.push(quoted(this.#isEchoed(i) ? (row.values[i] ?? '') : ''));
    }
    return values.join(this.#delimiter) + this.#end;
  }

  #isEchoed(i: number): boolean {
    const column = this.#columns[i];
    return (
      !this.#settings.emptyEchoOnCaseMismatch ||
      column?.kind !== 'field' ||
      column.field.name === this.#names[i]
    );
  }
}
