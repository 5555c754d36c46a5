import { EventEmitter } from 'node:events';

export type ClaimEnd = 'settled' | 'released';

/**
 * The claims of `dead-letter-replay` whose records a run of this process loads (design §7.12). The replay that made a claim
 * hears what became of it: `settled`, its records are in settled jobs or were rejected; `released`, none of them was loaded.
 */
export class Claims extends EventEmitter<{ ended: [claimId: string, end: ClaimEnd] }> {
  readonly #loading = new Set<string>();

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

  /** The run is another process's now. */
  forget(claimId: string): void {
    this.#loading.delete(claimId);
  }
}

/** Of every load in this process: a replay knows its claims, but no connection. */
export const claims = new Claims().setMaxListeners(0);
