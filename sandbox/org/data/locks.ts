import { hash53 } from '../random.ts';

/**
 * Row locks between batches that run at the same time. A batch holds the parents of the records that it saves; a record
 * of another batch with the same parent, in the same slice of time, cannot get the lock and fails (reference §6).
 *
 * Batches of one job run side by side in waves; chunk n of each batch of a wave is the same slice. Jobs that overlap
 * compete with whatever the other job holds in its present wave. A job alone, of one batch, competes with nobody.
 */
export class RowLocks {
  readonly #rate: number;
  readonly #seed: number;
  readonly #held = new Map<string, Map<string, Map<number, number>>>();

  /** `rate`: the share of collisions in which the server's wait of a few seconds does not help. */
  constructor(rate: number, seed: number) {
    this.#rate = rate;
    this.#seed = seed;
  }

  /** A job begins a wave of batches: what it held before is free. */
  startWave(jobId: string): void {
    this.#held.set(jobId, new Map());
  }

  release(jobId: string): void {
    this.#held.delete(jobId);
  }

  /** True when this parent is held by another batch; else this batch holds it from now on. */
  isLocked(jobId: string, batch: number, slice: number, parentId: string): boolean {
    const own = this.#held.get(jobId)?.get(parentId)?.get(slice);
    const collides = (own !== undefined && own !== batch) || this.#heldByOtherJob(jobId, parentId);
    if (collides && this.#loses(jobId, batch, slice, parentId)) {
      return true;
    }
    this.#hold(jobId, batch, slice, parentId);
    return false;
  }

  #heldByOtherJob(jobId: string, parentId: string): boolean {
    for (const [other, parents] of this.#held) {
      if (other !== jobId && parents.has(parentId)) {
        return true;
      }
    }
    return false;
  }

  #loses(jobId: string, batch: number, slice: number, parentId: string): boolean {
    const dice = hash53(`${jobId} ${batch} ${slice} ${parentId}`, this.#seed) % 10_000;
    return dice < this.#rate * 10_000;
  }

  #hold(jobId: string, batch: number, slice: number, parentId: string): void {
    const parents = this.#held.get(jobId);
    const slices = parents?.get(parentId);
    if (slices) {
      slices.set(slice, batch);
    } else {
      parents?.set(parentId, new Map([[slice, batch]]));
    }
  }
}
