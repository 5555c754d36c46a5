import type { Clock } from '../../src/clock.ts';
import type { Delivery } from './batch-in-flight.ts';
import type { Message, Node } from './red.ts';
import { sequenceMark } from './sequence-mark.ts';

const SILENCE_MS = 1_000;
/** For a runtime that does not tell how many parameters the handlers of a node take. */
const KNOWN_SILENT = /^(switch|rbe|subflow:.+)$/;

/** True for nodes that take a message and never call `done`: core `switch` and `rbe`, subflow instances, old nodes. */
export function neverCallsDone(node: Node): boolean {
  if (node._expectedDoneCount === undefined) return KNOWN_SILENT.test(node.type);
  return node._expectedDoneCount === 0;
}

interface Held {
  /** In the order in which they came. */
  deliveries: Delivery[];
  signAt: number;
}

/**
 * What such nodes hold. They work in order, so one lets a message go when it forwards that message or a later one; and when
 * it has not been heard of for a second, as it may have dropped what it had.
 */
export class SilentNodes {
  readonly #clock: Clock;
  readonly #letGo: (delivery: Delivery) => void;
  readonly #held = new Map<Node, Held>();
  #watching: AbortController | undefined;

  constructor(clock: Clock, letGo: (delivery: Delivery) => void) {
    this.#clock = clock;
    this.#letGo = letGo;
  }

  hold(delivery: Delivery): void {
    const held = this.#held.get(delivery.node) ?? { deliveries: [], signAt: 0 };
    held.deliveries.push(delivery);
    held.signAt = this.#clock.now();
    this.#held.set(delivery.node, held);
    if (this.#watching === undefined) void this.#watch();
  }

  /** `node` has sent `message` on. */
  forwarded(node: Node, message: Message): void {
    const held = this.#held.get(node);
    if (held === undefined) return;
    held.signAt = this.#clock.now();
    this.#release(node, held, lettingGo(held.deliveries, message));
  }

  /** It left some other way. */
  forget(delivery: Delivery): void {
    const held = this.#held.get(delivery.node);
    if (held === undefined) return;
    held.deliveries = held.deliveries.filter((one) => one !== delivery);
    if (held.deliveries.length === 0) this.#held.delete(delivery.node);
  }

  stop(): void {
    this.#held.clear();
    this.#watching?.abort();
  }

  #release(node: Node, held: Held, gone: Delivery[]): void {
    held.deliveries = held.deliveries.filter((delivery) => !gone.includes(delivery));
    if (held.deliveries.length === 0) this.#held.delete(node);
    for (const delivery of gone) this.#letGo(delivery);
  }

  async #watch(): Promise<void> {
    const watching = new AbortController();
    this.#watching = watching;
    try {
      while (this.#held.size > 0) {
        const first = Math.min(...[...this.#held.values()].map(({ signAt }) => signAt));
        await this.#clock.sleep(Math.max(first + SILENCE_MS - this.#clock.now(), 1), watching.signal);
        this.#releaseSilent();
      }
    } catch (error) {
      if (!watching.signal.aborted) throw error;
    } finally {
      if (this.#watching === watching) this.#watching = undefined;
    }
  }

  #releaseSilent(): void {
    const now = this.#clock.now();
    for (const [node, held] of [...this.#held]) {
      if (now - held.signAt >= SILENCE_MS) this.#release(node, held, held.deliveries);
    }
  }
}

/** The message itself and what came before it; for a copy: what is earlier in its sequence, and one of its own batch. */
function lettingGo(deliveries: Delivery[], message: Message): Delivery[] {
  const itself = deliveries.findIndex((delivery) => delivery.message === message);
  if (itself >= 0) return deliveries.slice(0, itself + 1);
  const mark = sequenceMark(message);
  if (mark === undefined) return [];
  const ofSequence = deliveries.filter((delivery) => sequenceMark(delivery.message)?.id === mark.id);
  const earlier = ofSequence.filter(({ batch }) => batch.index < mark.index);
  return [...earlier, ...ofSequence.filter(({ batch }) => batch.index === mark.index).slice(0, 1)];
}
