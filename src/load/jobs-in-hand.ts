/**
 * The jobs that something in this process is working on now: a poll that watches it, results that are being read.
 * A closed job that nobody has in hand is parked or on its way between two nodes (design §7.8).
 */
export class JobsInHand {
  /** By job and by whose hands they are: who put them there. */
  readonly #hands = new Map<string, Map<string, string>>();

  #idle: PromiseWithResolvers<void> | undefined;

  /** Resolves when nobody has any job in hand. */
  async untilIdle(): Promise<void> {
    while (this.#hands.size > 0) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
      this.#idle = undefined;
    }
  }

  has(jobId: string): boolean {
    return this.#hands.has(jobId);
  }

  /** Who put it into `whose` hands, while they have it. */
  takenBy(jobId: string, whose: string): string | undefined {
    return this.#hands.get(jobId)?.get(whose);
  }

  /**
   * Returns the function that lets the job go again; undefined when `whose` hands have it already: a message that was
   * sent again met the first one, or somebody else is at it (`takenBy`). It may be called twice.
   */
  take(jobId: string, whose: string, by = whose): (() => void) | undefined {
    const hands = this.#hands.get(jobId) ?? new Map<string, string>();
    if (hands.has(whose)) return undefined;
    hands.set(whose, by);
    this.#hands.set(jobId, hands);
    let isHeld = true;
    return () => {
      // The same hands may have taken it anew since the first call.
      if (!isHeld) return;
      isHeld = false;
      hands.delete(whose);
      if (hands.size === 0 && this.#hands.get(jobId) === hands) this.#hands.delete(jobId);
      if (this.#hands.size === 0) this.#idle?.resolve();
    };
  }
}
