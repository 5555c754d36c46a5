import { FROM_THE_FIRST } from '../database/ledger/claim-state.ts';
import type { ClaimPart, JobLedger } from '../database/ledger/job-ledger.ts';
import { claims, type SentClaim } from './claims.ts';

/** What a job file holds of claims. */
export interface FileClaims {
  claimIds: string[];
  /** Of those that are not whole in it. */
  claimParts: ClaimPart[];
}

interface HeldClaim {
  claim: SentClaim;
  /** Its first record of this file. */
  from: number;
}

/** The claims of `dead-letter-replay` whose records one run loads, and what of them a job file holds (design §7.12). */
export class RunClaims {
  readonly #ledger: JobLedger;
  readonly #all = new Set<string>();
  /** Of the file being written. */
  #inFile: HeldClaim[] = [];
  /** The claim whose records are being written. */
  #current: SentClaim | undefined;

  constructor(ledger: JobLedger) {
    this.#ledger = ledger;
  }

  /** Jobs of an earlier process hold records of these. */
  adopt(claimIds: readonly string[]): void {
    for (const claimId of claimIds) this.#begin(claimId);
  }

  /** From here on, until `written`, the records being written are of this claim, or of none. */
  write(claim: SentClaim | undefined): void {
    this.#current = claim;
    if (claim === undefined) return;
    this.#inFile.push({ claim, from: 0 });
    this.#begin(claim.id);
  }

  written(): void {
    this.#current = undefined;
  }

  /** The claims of the file that is finished now, `taken` records into what is being written: the rest goes into the next. */
  ofFile(taken: number): FileClaims {
    const held = this.#inFile.map((one) => ({ ...one, to: one.claim === this.#current ? taken : null }));
    this.#inFile = this.#current === undefined ? [] : [{ claim: this.#current, from: taken }];
    const inFile = held.filter(({ from, to }) => to === null || from < to);
    return {
      claimIds: [...new Set(inFile.map(({ claim }) => claim.id))],
      claimParts: inFile.flatMap(partOf),
    };
  }

  /**
   * `complete`: the run took all its rows and all its jobs are settled, so every record of a claim is in one of them, or was
   * rejected. Otherwise the ledger tells; what it cannot tell, it may tell the next replay.
   */
  async end(complete: boolean): Promise<void> {
    for (const claimId of this.#all) {
      const state = complete ? 'settled' : await this.#stateOf(claimId);
      if (state === 'loading' || state === 'unclear') claims.forget(claimId);
      else claims.end(claimId, state === 'unknown' ? 'released' : state);
    }
    this.#all.clear();
  }

  /** The run is another process's now, or another pass's of this one. */
  forget(): void {
    for (const claimId of this.#all) claims.forget(claimId);
    this.#all.clear();
  }

  async #stateOf(claimId: string) {
    return this.#ledger.claimState(claimId).catch(() => 'loading' as const);
  }

  #begin(claimId: string): void {
    this.#all.add(claimId);
    claims.begin(claimId);
  }
}

/** Nothing for a claim that is whole in the file. */
function partOf({ claim, from, to }: HeldClaim & { to: number | null }): ClaimPart[] {
  if (from === 0 && to === null) return [];
  const { id: claimId, letters } = claim;
  if (letters === undefined) return [{ claimId, letters: null }];
  const first = from === 0 ? FROM_THE_FIRST : (letters[from] ?? FROM_THE_FIRST);
  return [{ claimId, letters: [first, to === null ? null : (letters[to] ?? null)] }];
}
