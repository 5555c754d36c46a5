import type { JobLedger } from '../database/ledger/job-ledger.ts';
import { claims } from './claims.ts';

/** The claims of `dead-letter-replay` whose records one run loads, and which of them a job file holds (design §7.12). */
export class RunClaims {
  readonly #ledger: JobLedger;
  readonly #all = new Set<string>();
  /** Claims of which the file being written may hold records. */
  #inFile = new Set<string>();
  /** Claims of which records were in files that were given up. */
  readonly #dropped = new Set<string>();
  #current: string | undefined;

  constructor(ledger: JobLedger) {
    this.#ledger = ledger;
  }

  /** Jobs of an earlier process hold records of these. */
  adopt(claimIds: readonly string[]): void {
    for (const claimId of claimIds) this.#begin(claimId);
  }

  /** From here on the records being written are of this claim, or of none. */
  write(claimId: string | undefined): void {
    this.#current = claimId;
    if (claimId === undefined) return;
    this.#inFile.add(claimId);
    this.#begin(claimId);
  }

  /** The claims of the file that is finished now; records that are written go on into the next one. */
  ofFile(): string[] {
    const claimIds = [...this.#inFile];
    this.#inFile = new Set(this.#current === undefined ? [] : [this.#current]);
    return claimIds;
  }

  /** Files with records of these were given up, and so is the one being written. */
  drop(claimIds: readonly string[]): void {
    for (const claimId of [...claimIds, ...this.#inFile]) this.#dropped.add(claimId);
  }

  /**
   * Of a run that took all its rows (`complete`), every record of a claim is in a settled job or was rejected. Of one that
   * broke off, a claim may be in settled jobs with some of its records only: nobody can call that settled or released.
   */
  async end(complete: boolean): Promise<void> {
    for (const claimId of this.#all) {
      const state = complete ? 'settled' : await this.#stateOf(claimId);
      const isPartly = state === 'settled' && this.#dropped.has(claimId);
      if (state === 'loading' || isPartly) claims.forget(claimId);
      else claims.end(claimId, state === 'settled' ? 'settled' : 'released');
    }
    this.#all.clear();
  }

  /** The run is another process's now, or another pass's of this one. */
  forget(): void {
    for (const claimId of this.#all) claims.forget(claimId);
    this.#all.clear();
  }

  /** Where the ledger cannot be asked, the claim is left to the next replay, which looks again. */
  async #stateOf(claimId: string) {
    return this.#ledger.claimState(claimId).catch(() => 'loading' as const);
  }

  #begin(claimId: string): void {
    this.#all.add(claimId);
    claims.begin(claimId);
  }
}
