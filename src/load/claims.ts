import { EventEmitter } from 'node:events';
import type { LoadedPart } from '../database/ledger/job-ledger.ts';
import type { RecordBag } from './record-bag.ts';

export type ClaimEnd = 'settled' | 'released' | LoadedPart;

/** A claim as the records of a batch are sent with it. */
export interface SentClaim {
  id: string;
  /** The id of each record's letter, in the order of the records; undefined where that is not known any more. */
  letters: readonly string[] | undefined;
}

/** Takes letters out of their claims whose records the bag holds, so that they are dead again. */
export type GiveBack = (claimIds: readonly string[], unprocessed: RecordBag) => Promise<void>;

/**
 * The claims of `dead-letter-replay` whose records a run of this process loads (design §7.12). The replay that made a claim
 * hears what became of it: `settled`, its records are in settled jobs or were rejected; `released`, none of them was loaded; or
 * which of its letters were.
 */
export class Claims extends EventEmitter<{ ended: [claimId: string, end: ClaimEnd] }> {
  readonly #loading = new Set<string>();
  readonly #replays = new Set<GiveBack>();

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
  onUnprocessed(giveBack: GiveBack): () => void {
    this.#replays.add(giveBack);
    return () => this.#replays.delete(giveBack);
  }

  /** Records of these claims that Salesforce did not get to: they are as if they had not been sent. */
  async unprocessed(claimIds: readonly string[], records: RecordBag): Promise<void> {
    for (const giveBack of this.#replays) await giveBack(claimIds, records);
  }

  /** The run is another process's now. */
  forget(claimId: string): void {
    this.#loading.delete(claimId);
  }
}

/** Of every load in this process: a replay knows its claims, but no connection. */
export const claims = new Claims().setMaxListeners(0);
