/** One after the other, first come first served. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Waits for its turn, unless the signal is aborted first; the turn ends with `work`. */
  async take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}
