/** Work that stands still until somebody changes something: a fault is released, a job aborted. */
export class Released {
  readonly #stop: AbortSignal;
  readonly #waiting = new Set<() => void>();

  /** Once `stop` is aborted nothing waits any more. */
  constructor(stop: AbortSignal) {
    this.#stop = stop;
  }

  /** Something may have changed. */
  lookAgain(): void {
    for (const look of [...this.#waiting]) {
      look();
    }
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue() && !this.#stop.aborted) {
      await new Promise<void>((resolve) => {
        const look = (): void => {
          this.#waiting.delete(look);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
  }
}
