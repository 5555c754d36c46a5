import { orAborted } from '../../src/time-limit.ts';
import type { Red } from './red.ts';

/**
 * Follows the deploys of a runtime. Between `flows:stopping` and `flows:started` nodes that are deployed anew do not exist,
 * and what is sent to one of them is dropped without a word.
 */
class Deploys {
  #over: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor({ events }: Red) {
    events.on('flows:stopping', () => {
      this.#over ??= Promise.withResolvers<void>();
    });
    events.on('flows:started', () => {
      this.#over?.resolve();
      this.#over = undefined;
    });
  }

  get over(): Promise<void> | undefined {
    return this.#over?.promise;
  }
}

const followed = new WeakMap<object, Deploys>();

/** From the first question on; a deploy that was under way by then is not seen. */
export function followDeploys(RED: Red): Deploys {
  const known = followed.get(RED.events);
  if (known) return known;
  const deploys = new Deploys(RED);
  followed.set(RED.events, deploys);
  return deploys;
}

/** Resolves when no deploy is under way. Rejects with the signal's reason. */
export async function untilDeployed(RED: Red, signal: AbortSignal): Promise<void> {
  for (let over = followDeploys(RED).over; over; over = followDeploys(RED).over)
    await orAborted(signal, over);
}
