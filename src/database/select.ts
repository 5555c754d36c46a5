import type { SourceRecord } from '../record.ts';
import { checkColumns, type Query } from './describe-query.ts';
import type { Database } from './pool.ts';
import type { Session } from './session.ts';
import { oneQuery, parameterText } from './sql-text.ts';

export interface SelectOptions extends Query {
  batchSize: number;
  signal?: AbortSignal;
}

/** Batches of at most `batchSize` records; none is empty. `close()` may come at any time, also during a `next()`. */
export interface Select extends AsyncIterable<SourceRecord[]> {
  close(): Promise<void>;
}

const DECLARE = 'DECLARE rows NO SCROLL CURSOR WITH HOLD FOR ';

/**
 * Reads a query in batches, on a connection of its own. The server runs it to its end and keeps the rows (WITH HOLD, in
 * memory and then in a temporary file of its own), so that no transaction stays open while the rows are being loaded. One
 * batch is fetched ahead.
 *
 * When `signal` is aborted or the select closed, whatever runs on the server is cancelled and the connection cut; an open
 * iteration then throws the signal's reason, or ends.
 */
export function openSelect(db: Database, options: SelectOptions): Select {
  const closed = new AbortController();
  const { signal = closed.signal } = options;
  const stop = AbortSignal.any([signal, closed.signal]);
  const batches = read(db, options, stop, closed.signal);
  return {
    [Symbol.asyncIterator]: () => batches,
    close: async () => {
      closed.abort();
      await batches.return();
    },
  };
}

async function* read(
  db: Database,
  options: SelectOptions,
  stop: AbortSignal,
  closed: AbortSignal,
): AsyncGenerator<SourceRecord[], void, void> {
  try {
    yield* readOnOwnSession(db, options, stop);
  } catch (error) {
    if (closed.aborted) return;
    throw stop.aborted ? stop.reason : error;
  }
}

async function* readOnOwnSession(
  db: Database,
  { sql, params = [], batchSize }: SelectOptions,
  stop: AbortSignal,
): AsyncGenerator<SourceRecord[], void, void> {
  const query = oneQuery(sql);
  const session = await db.openSession('select', stop);
  const cut = () => void db.cancel(session).finally(() => session.destroy());
  stop.addEventListener('abort', cut, { once: true });
  try {
    stop.throwIfAborted();
    await declare(session, query, params);
    for await (const batch of fetchAhead(session, batchSize)) {
      stop.throwIfAborted();
      yield batch;
    }
  } finally {
    stop.removeEventListener('abort', cut);
    if (stop.aborted) session.destroy();
    else await session.close();
  }
}

/** The cursor is complete, and the transaction over, when this returns. */
async function declare(session: Session, query: string, params: unknown[]): Promise<void> {
  await session.transaction(async () => {
    const values = params.map(parameterText);
    await session.query({ text: DECLARE + query, prefix: DECLARE, values, queryMode: 'extended' });
    const { fields } = await session.query({ text: 'FETCH 0 FROM rows', rowMode: 'array' });
    checkColumns(fields);
  });
}

async function* fetchAhead(session: Session, batchSize: number): AsyncGenerator<SourceRecord[], void, void> {
  const fetch = () => session.query<SourceRecord>(`FETCH FORWARD ${batchSize} FROM rows`);
  let batch = takeRows(await fetch());
  while (batch.length > 0) {
    const last = batch.length < batchSize;
    const next = last ? undefined : fetch();
    // It is awaited below, unless the reader leaves before.
    next?.catch(() => undefined);
    yield batch;
    batch = next ? takeRows(await next) : [];
  }
}

/**
 * The rows, which the result then no longer holds. The driver's results keep each other reachable until a full garbage
 * collection, and with them all that they hold: a million rows then take 260 MiB where 120 do.
 */
function takeRows(result: { rows: SourceRecord[] }): SourceRecord[] {
  const { rows } = result;
  result.rows = [];
  return rows;
}
