import { type FileHandle, open } from 'node:fs/promises';
import { to as copyTo } from 'pg-copy-streams';
import { LoadError, reasonOf } from '../errors.ts';
import { CsvCutter } from './csv-cutter.ts';
import { asDatabaseError } from './database-error.ts';
import { type Column, checkColumns, describe, type Query } from './describe-query.ts';
import { quoteIdentifier } from './identifiers.ts';
import type { Database } from './pool.ts';
import type { Session } from './session.ts';
import { oneQuery, withLiterals } from './sql-text.ts';

export interface CopyOutOptions extends Query {
  /** A file is cut before it would become larger, header included. */
  maxBytes: number;
  /** Where the next file goes. */
  nextPath: () => string;
  signal?: AbortSignal;
}

export interface CsvFile {
  path: string;
  records: number;
  bytes: number;
  last: boolean;
}

/** For the owner only: it holds customers' data. */
const FILE_MODE = 0o600;

const BOOL = 16;
const BYTEA = 17;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;

/** Types that COPY would write otherwise than Salesforce reads them (`t`, a space in a time, hexadecimal). */
const EXPRESSIONS: Record<number, (column: string) => string> = {
  [BOOL]: (column) => `${column}::text`,
  [BYTEA]: (column) => `translate(encode(${column}, 'base64'), E'\\n', '')`,
  [TIMESTAMP]: (column) => `replace(${column}::text, ' ', 'T')`,
  [TIMESTAMPTZ]: (column) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
};

/**
 * Reads a query into CSV files (comma, LF, UTF-8, each with the header) without making records of its rows, and yields each
 * file when it is written. Values look as they do in the records of `openSelect` once those are CSV. At least one file comes:
 * a query without rows gives one that is only a header.
 *
 * The server's statement waits while the reader does: its snapshot is open until the last file is written.
 */
export async function* copyOut(db: Database, options: CopyOutOptions): AsyncGenerator<CsvFile, void, void> {
  const { sql, params = [], signal } = options;
  const query = oneQuery(sql);
  const session = await db.openSession('copy', signal);
  const cut = () => void db.cancel(session).finally(() => session.destroy());
  signal?.addEventListener('abort', cut, { once: true });
  let finished = false;
  try {
    signal?.throwIfAborted();
    const columns = await describe(session, query);
    checkColumns(columns);
    const statement = copyStatement(withLiterals(query, params), columns);
    for await (const file of writeFiles(session, statement, headerOf(columns), options)) {
      signal?.throwIfAborted();
      yield file;
    }
    finished = true;
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', cut);
    if (!finished) cut();
    else await session.close();
  }
}

function copyStatement(query: string, columns: Column[]): string {
  const list = columns.map(({ name, typeId }) => {
    const column = `source.${quoteIdentifier(name)}`;
    return `${EXPRESSIONS[typeId]?.(column) ?? column} AS ${quoteIdentifier(name)}`;
  });
  return `COPY (SELECT ${list.join(', ')} FROM (\n${query}\n) AS source) TO STDOUT (FORMAT csv, ENCODING 'UTF8')`;
}

function headerOf(columns: Column[]): Buffer {
  const names = columns.map(({ name }) => (/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name));
  return Buffer.from(`${names.join(',')}\n`);
}

async function* writeFiles(
  session: Session,
  statement: string,
  header: Buffer,
  { maxBytes, nextPath }: CopyOutOptions,
): AsyncGenerator<CsvFile, void, void> {
  const cutter = new CsvCutter(maxBytes, header.length);
  let file: OpenFile | undefined;
  try {
    for await (const chunk of copyRows(session, statement)) {
      for (const { bytes, records, startsFile } of cutter.push(chunk)) {
        if (startsFile && file !== undefined) yield { ...(await file.end()), last: false };
        if (startsFile) file = await OpenFile.create(nextPath(), header);
        await file?.write(bytes, records);
      }
    }
    file ??= await OpenFile.create(nextPath(), header);
    yield { ...(await file.end()), last: true };
  } finally {
    await file?.abandon();
  }
}

async function* copyRows(session: Session, statement: string): AsyncGenerator<Buffer, void, void> {
  const stream = session.client.query(copyTo(statement));
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    throw asDatabaseError(error, session.address);
  }
}

class OpenFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  #records = 0;
  #bytes = 0;
  #open = true;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  static async create(path: string, header: Buffer): Promise<OpenFile> {
    const handle = await open(path, 'w', FILE_MODE).catch((error) => {
      throw writeError(error, path);
    });
    const file = new OpenFile(path, handle);
    await file.write(header, 0);
    return file;
  }

  async write(bytes: Buffer, records: number): Promise<void> {
    try {
      await this.#handle.writeFile(bytes);
    } catch (error) {
      throw writeError(error, this.#path);
    }
    this.#bytes += bytes.length;
    this.#records += records;
  }

  async end(): Promise<Omit<CsvFile, 'last'>> {
    await this.abandon();
    return { path: this.#path, records: this.#records, bytes: this.#bytes };
  }

  async abandon(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#handle.close();
  }
}

function writeError(error: unknown, path: string): LoadError {
  return new LoadError(
    'LOAD_BROKEN_OFF',
    `The file ${path}, which holds rows on their way to Salesforce, could not be written (${reasonOf(error)}). See that the ` +
      'disk works and has room, then start again.',
    { cause: error },
  );
}
