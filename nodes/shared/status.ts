import type { Clock } from '../../src/clock.ts';
import type { Node, NodeStatus } from './red.ts';

/** Each status goes to every open editor and to every Status node, so at most two a second leave a node. */
const MILLISECONDS_APART = 500;
const LONGEST_TEXT = 60;

/** Words, or what finds them when they are shown: most of what is said is said too often to be. */
export type Words = string | (() => string);

interface Saying extends Omit<NodeStatus, 'text'> {
  text?: Words;
}

/** What a node says about itself, in verbs. The last thing said always shows, also when it was said too soon. */
export class StatusLine {
  readonly #node: Pick<Node, 'status'>;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #shown = '';
  #shownAt = Number.NEGATIVE_INFINITY;
  #next: Saying | undefined;

  constructor(node: Pick<Node, 'status'>, clock: Clock) {
    this.#node = node;
    this.#clock = clock;
  }

  /** Nothing to do, but worth a word. */
  idle(text: Words): void {
    this.#say({ fill: 'grey', shape: 'dot', text });
  }

  working(text: Words): void {
    this.#say({ fill: 'blue', shape: 'dot', text });
  }

  /** For someone else: the org, the database, a turn. */
  waiting(text: Words): void {
    this.#say({ fill: 'yellow', shape: 'ring', text });
  }

  done(text: Words): void {
    this.#say({ fill: 'green', shape: 'dot', text });
  }

  failed(text: Words): void {
    this.#say({ fill: 'red', shape: 'ring', text });
  }

  cleared(): void {
    this.#say({});
  }

  /** Clears it at once and says no more. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#node.status({});
  }

  #say(status: Saying): void {
    if (this.#closing.signal.aborted) return;
    const due = this.#shownAt + MILLISECONDS_APART - this.#clock.now();
    const waits = this.#next !== undefined;
    this.#next = status;
    if (due <= 0) this.#show();
    else if (!waits) void this.#showIn(due);
  }

  async #showIn(milliseconds: number): Promise<void> {
    try {
      await this.#clock.sleep(milliseconds, this.#closing.signal);
    } catch {
      return; // Only closing ends the sleep, and it has cleared the status.
    }
    this.#show();
  }

  #show(): void {
    if (this.#next === undefined) return;
    const status = withShortText(this.#next);
    this.#next = undefined;
    const text = JSON.stringify(status);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#shownAt = this.#clock.now();
    this.#node.status(status);
  }
}

function withShortText({ text, ...look }: Saying): NodeStatus {
  if (text === undefined) return look;
  const line = (typeof text === 'string' ? text : text()).replaceAll(/\s+/g, ' ').trim();
  return { ...look, text: line.length > LONGEST_TEXT ? `${line.slice(0, LONGEST_TEXT - 1)}…` : line };
}
