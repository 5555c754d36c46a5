import { LoadError } from '../errors.ts';
import type { ApiCalls, CallOptions } from './call.ts';

export type QueriedRecord = Record<string, unknown>;

/** Runs a query and follows its pages. `what` names it in messages: a query holds values of records. */
export async function query(
  session: ApiCalls,
  what: string,
  soql: string,
  options: CallOptions = {},
): Promise<QueriedRecord[]> {
  const records: QueriedRecord[] = [];
  let path: string | undefined = `/query?q=${encodeURIComponent(soql)}`;
  while (path !== undefined) {
    const answer = await session.call(
      { what, method: 'GET', path, kind: 'safe', isAboutRecords: true },
      options,
    );
    const page = pageOf(what, answer.body);
    records.push(...page.records);
    path = page.next;
  }
  return records;
}

function pageOf(what: string, body: unknown): { records: QueriedRecord[]; next: string | undefined } {
  const page = (body ?? {}) as { records?: QueriedRecord[]; done?: boolean; nextRecordsUrl?: string };
  if (!Array.isArray(page.records))
    throw new LoadError('SF_REQUEST_FAILED', `${what}: the answer is no query result`);
  return { records: page.records, next: page.done === false ? page.nextRecordsUrl : undefined };
}
