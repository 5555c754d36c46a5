import type { JobLedger } from '../../database/ledger/job-ledger.ts';
import type { CallOptions } from '../../salesforce/call.ts';
import type { RecordApi, RetrySession } from '../record-api.ts';
import type { DescribedObject } from '../rest-record.ts';
import type { RetryItem, RetryJob } from './item.ts';
import { type Batch, Owners } from './owners.ts';

/**
 * What the org says of an insert whose answer was lost (design §7.10). `ours`: it is there, made by us and not before the
 * attempt. `absent`: nothing has that external id but what is known to be another failure's. `unclear`: something has it
 * that does not count, or there is nothing to look it up by. `anyones`: it is there, but may as well be that of another
 * insert in doubt with the same external id. `why` says which.
 */
export type Finding =
  | { kind: 'ours'; id: string }
  | { kind: 'absent' }
  | { kind: 'unclear' | 'anyones'; why: string };

const NUMBER_TYPES = new Set(['int', 'long', 'double', 'currency', 'percent']);

const sameId = (a: string, b: string) => a.slice(0, 15) === b.slice(0, 15);

/** Salesforce writes `+0000`, which the date parser of JavaScript reads too. */
const momentOf = (value: unknown) => Date.parse(String(value));

interface Found {
  id: string;
  createdById: string;
  createdAt: number;
}

function readFound(record: Record<string, unknown>): Found {
  return {
    id: String(record.Id),
    createdById: String(record.CreatedById),
    createdAt: momentOf(record.CreatedDate),
  };
}

/** Looks doubtful inserts up by external id. */
export class Doubts {
  readonly #records: RecordApi;
  readonly #session: RetrySession;
  readonly #ledger: JobLedger;
  readonly #job: RetryJob;
  readonly #externalIdType: string;

  constructor(parts: {
    records: RecordApi;
    session: RetrySession;
    ledger: JobLedger;
    job: RetryJob;
    object: DescribedObject;
  }) {
    this.#records = parts.records;
    this.#session = parts.session;
    this.#ledger = parts.ledger;
    this.#job = parts.job;
    const wanted = parts.job.externalIdField?.toLowerCase();
    this.#externalIdType =
      parts.object.fields.find((field) => field.name.toLowerCase() === wanted)?.type ?? 'string';
  }

  /**
   * The org's moment that belongs to a moment of the ledger's clock: for a call of which only the ledger knows, because
   * another process made it. Never later than it was: the org's clock as we know it lags, the ledger's is read after it.
   */
  async orgMoment(ledgerMoment: Date): Promise<number> {
    const orgNow = this.#session.orgNow().getTime();
    const ledgerNow = (await this.#ledger.now()).getTime();
    return wholeSecond(ledgerMoment.getTime() + orgNow - ledgerNow);
  }

  /** `call`: the items that were begun together with those looked up. */
  async lookUp(
    items: readonly RetryItem[],
    { call, batch }: { call: readonly RetryItem[]; batch: Batch },
    options: CallOptions,
  ): Promise<Map<RetryItem, Finding>> {
    const found = await this.#find(items, options);
    const { userId } = await this.#session.identity(options);
    const namesakes = this.#namesakes(items, batch);
    const owners = await Owners.find(this.#ledger, {
      batch,
      call,
      namesakes: [...namesakes.values()].flat(),
      foundIds: [...found.values()].flat().map(({ id }) => id),
    });
    return new Map(
      items.map((item) => {
        const key = this.#keyOf(item.externalId);
        const others = namesakes.get(key)?.filter((other) => other !== item) ?? [];
        const matches = (found.get(key) ?? []).filter(({ id }) => !owners.isOfAnother(id, item));
        const hasRival = others.some((other) => owners.mayBeStored(other));
        return [item, this.#judge(item, matches, { userId, hasRival })];
      }),
    );
  }

  /** The batch's inserts with one of the external ids of the items, by that id. */
  #namesakes(items: readonly RetryItem[], batch: Batch): Map<string, RetryItem[]> {
    const keys = new Set(items.map(({ externalId }) => this.#keyOf(externalId)));
    const keyed = batch.items
      .filter(({ verb, externalId }) => verb === 'insert' && externalId !== undefined)
      .map((item) => ({ item, key: this.#keyOf(item.externalId) }))
      .filter(({ key }) => keys.has(key));
    const groups = Map.groupBy(keyed, ({ key }) => key);
    return new Map([...groups].map(([key, group]) => [key, group.map(({ item }) => item)]));
  }

  async #find(items: readonly RetryItem[], options: CallOptions): Promise<Map<string, Found[]>> {
    const field = this.#job.externalIdField;
    const values = items.flatMap((item) => item.externalId ?? []);
    if (field === null || values.length === 0) return new Map();
    const literal = NUMBER_TYPES.has(this.#externalIdType) ? 'number' : 'text';
    const records = await this.#records.findByExternalId(this.#job.object, field, values, {
      ...options,
      literal,
    });
    return Map.groupBy(
      records.map((record) => ({ key: this.#keyOf(valueIn(record, field)), ...readFound(record) })),
      ({ key }) => key,
    );
  }

  #judge(
    item: RetryItem,
    matches: readonly Found[],
    { userId, hasRival }: { userId: string; hasRival: boolean },
  ): Finding {
    if (item.externalId === undefined) return { kind: 'unclear', why: this.withoutKey() };
    if (matches.length === 0) return { kind: 'absent' };
    const since = item.doubtfulSince ?? Number.POSITIVE_INFINITY;
    const ours = matches.filter((match) => sameId(match.createdById, userId) && match.createdAt >= since);
    const [first, second] = ours;
    if (first !== undefined && second === undefined && hasRival) {
      const why = `The org has ${first.id} with the same ${this.#job.externalIdField}, but another record with that value got no answer either: nobody can tell whose it is. Compare it with both.`;
      return { kind: 'anyones', why };
    }
    if (first !== undefined && second === undefined) return { kind: 'ours', id: first.id };
    const ids = matches.map(({ id }) => id).join(', ');
    const why =
      second === undefined
        ? `The org has ${ids} with the same ${this.#job.externalIdField}, but it was made by somebody else or before the call. Compare it with this record.`
        : `The org has several records with the same ${this.#job.externalIdField}: ${ids}. Compare them with this record.`;
    return { kind: 'unclear', why };
  }

  /** Why a record without an external id stays in doubt. */
  withoutKey(): string {
    const { object, externalIdField } = this.#job;
    const reason =
      externalIdField === null ? 'the load names no external id field' : `it has no ${externalIdField}`;
    return `It cannot be looked up: ${reason}. Look in the org for this ${object} before you replay it.`;
  }

  /** Numbers come back as numbers (`7` for `7.0`), texts in whatever capitals they were stored. */
  #keyOf(value: unknown): string {
    return NUMBER_TYPES.has(this.#externalIdType) ? String(Number(value)) : String(value).toLowerCase();
  }
}

function valueIn(record: Record<string, unknown>, field: string): unknown {
  const name = Object.keys(record).find((key) => key.toLowerCase() === field.toLowerCase());
  return name === undefined ? undefined : record[name];
}

/** CreatedDate has no fraction. */
export function wholeSecond(moment: number): number {
  return Math.floor(moment / 1000) * 1000;
}
