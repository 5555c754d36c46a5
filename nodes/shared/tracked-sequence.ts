import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../../src/clock.ts';
import { LoadError, reasonOf } from '../../src/errors.ts';
import { type BatchInFlight, type NodeName, nameOf } from './batch-in-flight.ts';
import { type DeliveryTracker, type Tracked, trackerOf } from './delivery-tracker.ts';
import { followDeploys, untilDeployed } from './deploys.ts';
import type { Message, Node, Red, Send } from './red.ts';
import { type SequenceMark, sequenceMark } from './sequence-mark.ts';
import { endSequence, registerSequence } from './sequence-registry.ts';
import { SequenceWindow } from './sequence-window.ts';
import { StoppedByDeploy } from './stopped-by-deploy.ts';
import { firstStuck } from './stuck-batch.ts';
import { loadError, text } from './texts.ts';

export { onSequenceOver, sequenceState } from './sequence-registry.ts';

export interface SequenceOptions {
  /** The one that came with the message in hand. */
  send: Send;
  /** At most so many batches on their way at a time; what join, batch and sort nodes hold does not count. */
  maxInFlight: number;
  /** When a node behind reports an error for a batch: end the sequence, or count it and go on. */
  onError: 'stop' | 'continue';
  /** Seconds without a sign of life of a batch after which the sequence is broken off; 0: never. */
  stuckAfter: number;
  /** Breaks the sequence off when it is aborted: that of the message in hand. */
  signal?: AbortSignal;
  /** The message in hand. */
  message?: Message;
  /** Not after the first row was read; default now. Milliseconds since 1970. */
  openedAt?: number;
  /** The node whose rejected records of one message these are. */
  rejectedBy?: string;
  clock?: Clock;
}

/** Opens a tracked sequence (design §5). End it with `finished` or `breakOff`, whatever happens. */
export function openSequence(RED: Red, node: Node, options: SequenceOptions): TrackedSequence {
  return new TrackedSequence(RED, node, options);
}

/**
 * Opens a sequence for the time of `work`: over when it returns and all is through, broken off when it throws. Resolves with
 * the sequence, for what there is to say of it.
 */
export async function withSequence(
  RED: Red,
  node: Node,
  options: SequenceOptions,
  work: (sequence: TrackedSequence) => Promise<void>,
): Promise<TrackedSequence> {
  const sequence = openSequence(RED, node, options);
  try {
    await work(sequence);
    await sequence.finished();
    return sequence;
  } catch (error) {
    sequence.breakOff(error);
    throw sequence.error ?? error;
  }
}

/**
 * The batches that one node sends for one message. A batch is in flight until every node that it reached has called `done`;
 * the sender waits while the window is full, and at the end until the last one is through.
 */
export class TrackedSequence {
  readonly id = randomUUID();
  readonly openedAt: number;
  readonly #RED: Red;
  readonly #node: Node;
  readonly #options: SequenceOptions;
  readonly #clock: Clock;
  readonly #tracker: DeliveryTracker;
  readonly #window: SequenceWindow;
  readonly #broken = new AbortController();
  readonly #ended = new AbortController();
  readonly #visited = new Set<Node>();
  readonly #failed = new Set<number>();
  readonly #outer: SequenceMark | undefined;
  readonly #tracked: Tracked;
  #movedAt: number;
  #state: 'open' | 'over' | 'broken-off' = 'open';
  #error: LoadError | undefined;

  constructor(RED: Red, node: Node, options: SequenceOptions) {
    this.#RED = RED;
    this.#node = node;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.openedAt = options.openedAt ?? this.#clock.now();
    this.#movedAt = this.#clock.now();
    this.#outer = options.message && sequenceMark(options.message);
    followDeploys(RED);
    this.#tracker = trackerOf(RED);
    this.#tracked = this.#asTracked();
    const mostGathered = RED.settings.nodeMessageBufferMaxLength ?? 0;
    this.#window = new SequenceWindow(options.maxInFlight, mostGathered, this.#tracked);
    registerSequence(this.id, { stopsOnError: options.onError === 'stop' });
    this.#tracker.open(this.#tracked, this.#clock);
    this.#followSignal(options.signal);
    if (options.stuckAfter > 0) void this.#watch(options.stuckAfter * 1000);
  }

  /** Aborted, with `error` as its reason, when the sequence is broken off. */
  get signal(): AbortSignal {
    return this.#broken.signal;
  }

  /** Why it was broken off. */
  get error(): LoadError | undefined {
    return this.#error;
  }

  get sent(): number {
    return this.#window.opened;
  }

  get inFlight(): number {
    return this.#window.size;
  }

  /** Batches for which a node behind reported an error. */
  get failedBatches(): number {
    return this.#failed.size;
  }

  /**
   * Waits for a place in the window, and while a deploy is under way; then marks the message and sends it by the given
   * output, counted from 0. Resolves with its index in the sequence as soon as it is sent. Rejects once the sequence is
   * broken off. `onThrough` is called once, when every node that it reached is through with it; not after a break-off.
   */
  async send(message: Message, output = 0, onThrough?: () => void): Promise<number> {
    const batch = await this.#window.place();
    batch.onThrough = onThrough;
    await untilDeployed(this.#RED, this.#broken.signal);
    this.#broken.signal.throwIfAborted();
    message._sequence = this.#markOf(batch);
    batch.whileSending(() => {
      this.#options.send(output === 0 ? message : [...new Array<null>(output).fill(null), message]);
    });
    return batch.index;
  }

  /** No more will be sent. Resolves when every batch is through, rejects once the sequence is broken off. */
  async finished(): Promise<void> {
    await this.#window.drained();
    this.#end('over', undefined);
  }

  /** Ends it before its time; what is on its way is followed no longer. The first reason counts. */
  breakOff(reason: unknown): void {
    if (this.#state !== 'open') return;
    const error = brokenOff(reason);
    this.#error = error;
    this.#window.breakOff(error);
    this.#end('broken-off', error);
    this.#broken.abort(error);
  }

  #end(state: 'over' | 'broken-off', error: LoadError | undefined): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.#ended.abort();
    this.#tracker.close(this.#tracked, this.#window.batches());
    endSequence(this.id, { state, error }, (thrown) => {
      this.#node.error(text('warning.waiterFailed', { reason: reasonOf(thrown) }));
    });
  }

  #markOf({ index }: BatchInFlight): SequenceMark {
    const { rejectedBy } = this.#options;
    return {
      id: this.id,
      index,
      openedAt: this.openedAt,
      ...(this.#outer && { outer: this.#outer }),
      ...(rejectedBy !== undefined && { rejectedBy }),
    };
  }

  #asTracked(): Tracked {
    return {
      id: this.id,
      now: () => this.#clock.now(),
      batchAt: (index) => this.#window.batchAt(index),
      moved: (batch) => {
        this.#movedAt = this.#clock.now();
        this.#window.moved(batch);
      },
      through: (batch) => {
        batch.onThrough?.();
        this.#window.through(batch);
      },
      reported: (batch, node, error) => this.#reported(batch, node, error),
      visited: (node) => this.#visited.add(node),
      stopping: (stops) => this.#stopping(stops),
    };
  }

  #reported(batch: BatchInFlight, node: NodeName, error: unknown): void {
    this.#failed.add(batch.index);
    if (this.#options.onError === 'continue') return;
    const values = { node: nameOf(node), index: String(batch.index), reason: textOf(error) };
    this.breakOff(loadError('LOAD_BROKEN_OFF', 'batchReported', values, { cause: error }));
  }

  /**
   * Core nodes call `done` for what they drop when they close, and what is sent to a node while it is away is dropped without
   * a word; so it does not do to look only at nodes that have a batch just now. A debug node may come and go.
   */
  #stopping(stops: (node: Node) => boolean): void {
    const onTheWay = [...this.#window.batches()].flatMap(({ deliveries }) => [...deliveries]);
    const passed = [...this.#visited].filter(({ type }) => type !== 'debug');
    const stopped = [this.#node, ...onTheWay.map(({ node }) => node), ...passed].find(stops);
    if (stopped === undefined) return;
    this.breakOff(new StoppedByDeploy('nodeStopped', { node: nameOf(stopped) }));
  }

  #followSignal(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    if (signal.aborted) this.breakOff(signal.reason);
    signal.addEventListener('abort', () => this.breakOff(signal.reason), { signal: this.#ended.signal });
  }

  /** Ends with the sequence, and never rejects. */
  async #watch(after: number): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const stuck = firstStuck(this.#window.batches(), this.#movedAt, this.#window.waitsForGroups);
      const left = (stuck?.movedAt ?? this.#clock.now()) + after - this.#clock.now();
      if (stuck !== undefined && left <= 0) {
        const values = {
          index: String(stuck.batch.index),
          node: nameOf(stuck.node),
          seconds: String(after / 1000),
        };
        this.breakOff(loadError('LOAD_BROKEN_OFF', 'batchStuck', values));
        return;
      }
      await this.#clock.sleep(left, this.#ended.signal).catch(() => {}); // Aborted: the loop ends.
    }
  }
}

function brokenOff(reason: unknown): LoadError {
  if (reason instanceof LoadError) return reason;
  return loadError('LOAD_BROKEN_OFF', 'brokenOff', { reason: textOf(reason) }, { cause: reason });
}

/** Nodes report texts, errors, and Catch nodes are handed objects with a message. */
function textOf(error: unknown): string {
  const isObject = typeof error === 'object' && error !== null;
  return isObject && 'message' in error ? String(error.message) : reasonOf(error);
}
