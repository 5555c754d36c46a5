import type { Clock } from '../clock.ts';
import type { LoadHold } from '../database/ledger/job-ledger.ts';

/** How long a node that is deployed anew may be away: Node-RED waits at most 15 s for those that close, then makes the new. */
export const DEPLOY_MS = 20_000;

/**
 * Holds of loads whose create node is being deployed anew. The new node goes on under the same epoch, so that results and
 * retries that are under way in this process go on as well, and no other process steps in between.
 */
export class KeptHolds {
  readonly #clock: Clock;
  readonly #kept = new Map<string, { hold: LoadHold; taken: AbortController }>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Where nobody takes it, it is released; at once where nobody can. */
  async keep(hold: LoadHold): Promise<void> {
    if (this.#isClosed) {
      await hold.release();
      return;
    }
    const taken = new AbortController();
    this.#kept.set(hold.load.loadName, { hold, taken });
    this.#clock.sleep(DEPLOY_MS, taken.signal).then(
      () => this.take(hold.load.loadName)?.release(),
      () => {}, // Somebody has it.
    );
  }

  find(loadName: string): LoadHold | undefined {
    return this.#kept.get(loadName)?.hold;
  }

  /** It is the caller's then. Undefined: none is kept, or another process took the load over meanwhile. */
  take(loadName: string): LoadHold | undefined {
    const kept = this.#kept.get(loadName);
    this.#kept.delete(loadName);
    kept?.taken.abort();
    return kept?.hold.signal.aborted ? undefined : kept?.hold;
  }

  /** The connection goes, and with it all that could take a hold over. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const holds = [...this.#kept.keys()].map((loadName) => this.take(loadName));
    await Promise.all(holds.map((hold) => hold?.release()));
  }
}
