import type { Clock } from '../../src/clock.ts';
import type { BatchInFlight, BatchOwner, Delivery, NodeName } from './batch-in-flight.ts';
import { type MessageObserver, observeMessages } from './message-hooks.ts';
import { isAccountable } from './own-nodes.ts';
import type { CompleteEvent, LogEntry, Message, Node, ReceiveEvent, Red, SendEvent } from './red.ts';
import { type SequenceMark, sequenceMark } from './sequence-mark.ts';
import { neverCallsDone, SilentNodes } from './silent-nodes.ts';
import { type Stopping, stoppingNodes } from './stopping-nodes.ts';

/** What the tracker needs of a sequence. */
export interface Tracked extends BatchOwner {
  readonly id: string;
  /** Undefined for a batch that was never sent. */
  batchAt(index: number): BatchInFlight | undefined;
  /** Nodes are about to stop: breaks off where that could lose batches. */
  stopping(stops: (node: Node) => boolean): void;
}

const trackers = new WeakMap<object, DeliveryTracker>();

/** The one tracker of a runtime. */
export function trackerOf(RED: Red): DeliveryTracker {
  const known = trackers.get(RED.hooks);
  if (known !== undefined) return known;
  const tracker = new DeliveryTracker(RED);
  trackers.set(RED.hooks, tracker);
  return tracker;
}

/**
 * Counts where the batches of open sequences are, by the messages that nodes send and receive and the `done`s that they
 * call (design §5). It looks at messages only while a sequence is open.
 */
export class DeliveryTracker implements MessageObserver {
  readonly #RED: Red;
  readonly #sequences = new Map<string, Tracked>();
  /** Nodes pass the same object on, so it may be on its way to one node and in the hands of another. */
  #byMessage = new WeakMap<Message, Delivery[]>();
  /** What nodes have in hand, oldest first. */
  readonly #inHand = new Map<string, Set<Delivery>>();
  #silent: SilentNodes | undefined;
  #stopObserving: (() => void) | undefined;

  constructor(RED: Red) {
    this.#RED = RED;
  }

  open(sequence: Tracked, clock: Clock): void {
    this.#sequences.set(sequence.id, sequence);
    this.#silent ??= new SilentNodes(clock, (delivery) => this.#finish(delivery));
    this.#stopObserving ??= observeMessages(this.#RED, this);
  }

  /** What is still on its way is of no concern any more. */
  close(sequence: Tracked, inFlight: Iterable<BatchInFlight>): void {
    this.#sequences.delete(sequence.id);
    for (const batch of inFlight) {
      for (const delivery of batch.deliveries) this.#forget(delivery);
      batch.forget();
    }
    if (this.#sequences.size > 0) return;
    this.#stopObserving?.();
    this.#stopObserving = undefined;
    this.#silent?.stop();
    this.#silent = undefined;
    this.#inHand.clear();
    this.#byMessage = new WeakMap();
  }

  sent({ msg, source, destination }: SendEvent): void {
    this.#track(msg, destination.node);
    this.#silent?.forwarded(source.node, msg);
  }

  /** Link call, Catch, Complete and Status hand messages over without sending them. */
  received({ msg, destination: { node } }: ReceiveEvent): void {
    const delivery = this.#find(msg, node, false) ?? this.#track(msg, node);
    if (delivery === undefined) return;
    this.#arrive(delivery);
    if (neverCallsDone(node)) this.#silent?.hold(delivery);
    if (node.type === 'catch') reportCaught(delivery);
  }

  completed({ msg, node: { node }, error }: CompleteEvent): void {
    const delivery = this.#find(msg, node, true);
    if (delivery === undefined) return;
    this.#finish(delivery);
    if (error) delivery.batch.owner.reported(delivery.batch, node, error);
  }

  /**
   * `node.error(text, msg)` that no Catch node sees tells nobody which message it was. Where the node has batches in hand it
   * is about the one that came last: that is certain while the node handles it, and probable later.
   */
  logged({ level, id, msg }: LogEntry): void {
    if (level !== this.#RED.log.ERROR || id === undefined) return;
    const delivery = [...(this.#inHand.get(id) ?? [])].at(-1);
    if (delivery === undefined || isAccountable(delivery.node)) return;
    delivery.batch.owner.reported(delivery.batch, delivery.node, plain(msg));
  }

  stopping(event: Stopping): void {
    const stops = stoppingNodes(event);
    for (const sequence of [...this.#sequences.values()]) sequence.stopping(stops);
  }

  /** The innermost sequence that is open: what a sender sends after its own is over belongs to the one around it. */
  #batchOf(mark: SequenceMark | undefined): BatchInFlight | undefined {
    if (mark === undefined) return undefined;
    const sequence = this.#sequences.get(mark.id);
    return sequence === undefined ? this.#batchOf(mark.outer) : sequence.batchAt(mark.index);
  }

  #track(message: Message, node: Node): Delivery | undefined {
    const batch = this.#batchOf(sequenceMark(message));
    if (batch === undefined) return undefined;
    const delivery: Delivery = { message, node, batch, arrived: false };
    const others = this.#byMessage.get(message);
    if (others === undefined) this.#byMessage.set(message, [delivery]);
    else others.push(delivery);
    batch.add(delivery);
    return delivery;
  }

  #find(message: Message, node: Node, arrived: boolean): Delivery | undefined {
    return this.#byMessage
      .get(message)
      ?.find((delivery) => delivery.node === node && delivery.arrived === arrived);
  }

  #arrive(delivery: Delivery): void {
    const { batch, node } = delivery;
    batch.arrive(delivery);
    batch.owner.visited(node);
    const held = this.#inHand.get(node.id);
    if (held === undefined) this.#inHand.set(node.id, new Set([delivery]));
    else held.add(delivery);
  }

  #finish(delivery: Delivery): void {
    this.#forget(delivery);
    delivery.batch.remove(delivery);
  }

  #forget(delivery: Delivery): void {
    const { message, node } = delivery;
    this.#silent?.forget(delivery);
    const left = this.#byMessage.get(message)?.filter((one) => one !== delivery) ?? [];
    if (left.length > 0) this.#byMessage.set(message, left);
    else this.#byMessage.delete(message);
    const held = this.#inHand.get(node.id);
    held?.delete(delivery);
    if (held?.size === 0) this.#inHand.delete(node.id);
  }
}

/** A Catch node is handed a copy of the message, with the error and where it comes from. */
function reportCaught({ message, batch }: Delivery): void {
  const { error } = message;
  if (typeof error !== 'object' || error === null || !('source' in error)) return;
  batch.owner.reported(batch, error.source as NodeName, error);
}

/** Core's debug node encodes the errors of the log for its sidebar in place, before we see them. */
function plain(logged: unknown): unknown {
  if (typeof logged !== 'string' || !logged.startsWith('{"__enc__":true')) return logged;
  const { data } = JSON.parse(logged) as { data?: unknown };
  return data ?? logged;
}
