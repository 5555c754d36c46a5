import { EventEmitter } from 'node:events';
import type { ClaimLetters, LoadedPart } from '../database/ledger/job-ledger.ts';
import type { RecordBag } from './record-bag.ts';

export type ClaimEnd = 'settled' | 'released' | LoadedPart;

/** A claim as the records of a batch are sent with it. */
export interface SentClaim {
  id: string;
  /** The id of each record's letter, in the order of the records; undefined where that is not known any more. */
  letters: readonly string[] | undefined;
}

/** A replay, as the jobs see it that hold its records. */
export interface ClaimedLetters {
  /** The letters in these claims, beside `known` ones, whose records the bag holds. They leave the bag; nothing else is changed. */
  find(
    claimIds: readonly string[],
    unprocessed: RecordBag,
    known: ReadonlySet<string>,
  ): Promise<ClaimLetters[]>;
  /** Takes letters out of their claims, so that they are dead again. Returns how many: others are out, or not its own. */
  giveBack(letters: readonly ClaimLetters[]): Promise<number>;
}

/**
 * The claims of `dead-letter-replay` whose records a run of this process loads (design §7.12). The replay that made a claim
 * hears what became of it: `settled`, its records are in settled jobs or were rejected; `released`, none of them was loaded; or
 * which of its letters were.
 */
export class Claims extends EventEmitter<{ ended: [claimId: string, end: ClaimEnd] }> {
  readonly #loading = new Set<string>();
  readonly #replays = new Set<ClaimedLetters>();

  /** True while a run holds records of the claim. */
  isLoading(claimId: string): boolean {
    return this.#loading.has(claimId);
  }

  begin(claimId: string): void {
    this.#loading.add(claimId);
  }

  end(claimId: string, end: ClaimEnd): void {
    this.#loading.delete(claimId);
    this.emit('ended', claimId, end);
  }

  /** A replay that gives letters back. Returns the function that ends it. */
  onUnprocessed(replay: ClaimedLetters): () => void {
    this.#replays.add(replay);
    return () => this.#replays.delete(replay);
  }

  /** Whose records Salesforce did not get to: they are as if they had not been sent. */
  async lettersOf(
    claimIds: readonly string[],
    unprocessed: RecordBag,
    known: ReadonlySet<string>,
  ): Promise<ClaimLetters[]> {
    const found: ClaimLetters[] = [];
    for (const replay of this.#replays) found.push(...(await replay.find(claimIds, unprocessed, known)));
    return found;
  }

  async giveBack(letters: readonly ClaimLetters[]): Promise<void> {
    let left = letters.reduce((sum, { letters: ids }) => sum + ids.length, 0);
    for (const replay of this.#replays) if (left > 0) left -= await replay.giveBack(letters);
  }

  /** The run is another process's now. */
  forget(claimId: string): void {
    this.#loading.delete(claimId);
  }
}

/** Of every load in this process: a replay knows its claims, but no connection. */
export const claims = new Claims().setMaxListeners(0);
