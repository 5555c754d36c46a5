import type { Message, Node } from './red.ts';

/** Nodes that hold `done` until their group is whole. */
const GATHERING = new Set(['join', 'batch', 'sort']);

export function isGathering(node: Node): boolean {
  return GATHERING.has(node.type);
}

/** One message of a batch on its way to a node (`arrived` false) or in its hands. */
export interface Delivery {
  readonly message: Message;
  readonly node: Node;
  readonly batch: BatchInFlight;
  arrived: boolean;
}

/** A node as messages about it name it. */
export type NodeName = Pick<Node, 'id' | 'type'> & { name?: string | undefined };

export function nameOf({ id, type, name }: NodeName): string {
  return name === undefined || name === '' ? `${type} ${id}` : `${type} "${name}" (${id})`;
}

/** The sequence that a batch is of. */
export interface BatchOwner {
  /** Something moved: a delivery came, arrived, or was finished. */
  moved(batch: BatchInFlight): void;
  /** No node has it any more, and none took it up in the turn after. */
  through(batch: BatchInFlight): void;
  /** A node has one of its messages in hand. */
  visited(node: Node): void;
  /** A node reported an error for it. */
  reported(batch: BatchInFlight, node: NodeName, error: unknown): void;
  now(): number;
}

/** A batch between its sender's `send` and the last `done` of all nodes that it reached. */
export class BatchInFlight {
  readonly index: number;
  readonly deliveries = new Set<Delivery>();
  readonly owner: BatchOwner;
  /** What its sender has to do then. Never when the sequence breaks off before. */
  onThrough: (() => void) | undefined;
  #movedAt: number;
  #gathered = 0;
  /** From its place in the window on. */
  #sending = true;
  #checking: NodeJS.Immediate | undefined;

  constructor(index: number, owner: BatchOwner) {
    this.index = index;
    this.owner = owner;
    this.#movedAt = owner.now();
  }

  get movedAt(): number {
    return this.#movedAt;
  }

  /** Nothing but nodes that wait for the rest of a group have it. */
  get gathered(): boolean {
    return this.#gathered > 0 && this.#gathered === this.deliveries.size;
  }

  /** It counts until it is sent, although no delivery is known before. */
  whileSending(send: () => void): void {
    try {
      send();
    } finally {
      this.#sending = false;
      this.#checkSoon();
    }
  }

  add(delivery: Delivery): void {
    this.deliveries.add(delivery);
    if (delivery.arrived) this.#count(delivery, 1);
    this.#move();
  }

  arrive(delivery: Delivery): void {
    delivery.arrived = true;
    this.#count(delivery, 1);
    this.#move();
  }

  remove(delivery: Delivery): void {
    if (!this.deliveries.delete(delivery)) return;
    if (delivery.arrived) this.#count(delivery, -1);
    this.#move();
    this.#checkSoon();
  }

  forget(): void {
    this.deliveries.clear();
    clearImmediate(this.#checking);
  }

  #count({ node }: Delivery, by: 1 | -1): void {
    if (isGathering(node)) this.#gathered += by;
  }

  #move(): void {
    this.#movedAt = this.owner.now();
    this.owner.moved(this);
  }

  /** A node may call `done` and send in the same turn, in either order, so a batch is through one turn later. */
  #checkSoon(): void {
    if (this.deliveries.size > 0 || this.#sending || this.#checking !== undefined) return;
    this.#checking = setImmediate(() => {
      this.#checking = undefined;
      if (this.deliveries.size === 0 && !this.#sending) this.owner.through(this);
    });
  }
}
