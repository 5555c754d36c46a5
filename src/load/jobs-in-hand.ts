/**
 * The jobs that something in this process is working on now: a poll that watches it, results that are being read.
 * A closed job that nobody has in hand is parked or on its way between two nodes (design §7.8).
 */
export class JobsInHand {
  readonly #hands = new Map<string, number>();

  has(jobId: string): boolean {
    return this.#hands.has(jobId);
  }

  /** Returns the function that lets the job go again; calling it twice does no harm. */
  take(jobId: string): () => void {
    this.#hands.set(jobId, (this.#hands.get(jobId) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#hands.get(jobId) ?? 1) - 1;
      if (left === 0) this.#hands.delete(jobId);
      if (left > 0) this.#hands.set(jobId, left);
    };
  }
}
