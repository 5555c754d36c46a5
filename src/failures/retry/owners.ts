import type { JobLedger, RetryEntry } from '../../database/ledger/job-ledger.ts';
import type { RetryItem } from './item.ts';
import { IN_DOUBT, type Result } from './outcomes.ts';

/** A batch, and what became of its records so far. */
export interface Batch {
  readonly items: readonly RetryItem[];
  readonly results: ReadonlyMap<RetryItem, Result>;
}

/** Ids are compared by their first 15 characters: the rest only repeats their capitals. */
const short = (id: string) => id.slice(0, 15);

/**
 * Whose a record is that a look-up finds. Several failures may have one external id, and what is there under it can be any
 * one's: counted as the wrong one's, a record is lost.
 */
export class Owners {
  readonly #batch: Batch;
  readonly #call: ReadonlySet<RetryItem>;
  readonly #entries: Map<string, RetryEntry>;
  readonly #keysById: Map<string, string[]>;

  private constructor(batch: Batch, call: readonly RetryItem[], entries: readonly RetryEntry[]) {
    this.#batch = batch;
    this.#call = new Set(call);
    this.#entries = new Map(entries.map((entry) => [entry.key, entry]));
    this.#keysById = keysById([...storedIn(batch), ...entries]);
  }

  /** `namesakes`: all that have one of the values looked up. `call`: the items begun together, of which none is sent yet. */
  static async find(
    ledger: JobLedger,
    parts: {
      batch: Batch;
      call: readonly RetryItem[];
      namesakes: readonly RetryItem[];
      foundIds: readonly string[];
    },
  ): Promise<Owners> {
    const { batch, call, namesakes, foundIds } = parts;
    const keys = namesakes.filter((item) => !batch.results.has(item)).map(({ original }) => original.key);
    const entries = foundIds.length === 0 ? [] : await ledger.knownRetries({ keys, sfIds: foundIds });
    return new Owners(batch, call, entries);
  }

  /** The record is known to be another failure's: an answer or a look-up said so, in this batch or an earlier one. */
  isOfAnother(id: string, item: RetryItem): boolean {
    return this.#keysById.get(short(id))?.some((key) => key !== item.original.key) ?? false;
  }

  /** An insert that may be stored, though nobody knows under which id. */
  mayBeStored(item: RetryItem): boolean {
    const result = this.#batch.results.get(item);
    if (result) return 'failure' in result && result.failure.errorCode === IN_DOUBT;
    if (item.inDoubt || item.doubtfulSince !== undefined) return true;
    if (this.#call.has(item)) return false;
    const state = this.#entries.get(item.original.key)?.state;
    return state === 'calling' || state === 'in-doubt';
  }
}

interface Stored {
  key: string;
  sfId: string | null;
}

function storedIn({ results }: Batch): Stored[] {
  return [...results.values()].flatMap((result) => ('retried' in result ? [result.retried] : []));
}

function keysById(stored: readonly Stored[]): Map<string, string[]> {
  const keys = new Map<string, string[]>();
  for (const { key, sfId } of stored) {
    if (sfId) keys.set(short(sfId), [...(keys.get(short(sfId)) ?? []), key]);
  }
  return keys;
}
