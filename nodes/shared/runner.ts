import { type Clock, systemClock } from '../../src/clock.ts';
import { LoadError, reasonOf } from '../../src/errors.ts';
import type { Validated } from './config.ts';
import { markAccountable } from './own-nodes.ts';
import type { Done, Message, Node, Send } from './red.ts';
import { isReset } from './reset.ts';
import type { StatusLine } from './status.ts';
import { StoppedByDeploy } from './stopped-by-deploy.ts';
import { statusOf, text } from './texts.ts';

/** Node-RED itself gives up on a node that has not closed after 15 s. */
const CLOSING_MS = 8_000;

export interface Input<S> {
  message: Message;
  send: Send;
  /** Aborted, with a LoadError as its reason, when the node closes. */
  signal: AbortSignal;
  settings: S;
}

export interface InputOptions<S> {
  settings: Validated<S>;
  status: StatusLine;
  /** One message; `done` follows when the promise settles, with what it rejected with. */
  handle(input: Input<S>): Promise<void>;
  /** For a node that gathers messages: what a message with `msg.reset` does in place of `handle`. */
  reset?(input: Input<S>): Promise<void> | void;
  /** True: a message waits until the one before is through. Default: each is handled when it comes. */
  serial?: boolean;
  /** After the messages in hand have ended. `removed`: deleted or disabled, not restarted. */
  close?(removed: boolean): Promise<void> | void;
  clock?: Clock;
}

/**
 * The one way in which nodes of this package take messages: each ends in exactly one `done`; whatever is thrown becomes a
 * red status and a catchable error; closing aborts what is in hand and waits for its end, for less time than Node-RED does.
 * A node whose settings are wrong says so in its status and on each message.
 */
export function onInput<S>(node: Node, options: InputOptions<S>): void {
  const runner = new InputRunner(node, options);
  markAccountable(node);
  node.on('input', (message, send, done) => {
    void runner.take(message, send, done);
  });
  node.on('close', (removed, done) => {
    void runner.close(removed).then(done);
  });
  if (!options.settings.ok) options.status.failed(statusOf(options.settings.error));
}

class InputRunner<S> {
  readonly #node: Node;
  readonly #options: InputOptions<S>;
  readonly #clock: Clock;
  /** What is in hand, waiting ones included, with the means to stop it. */
  readonly #inHand = new Map<Promise<void>, AbortController>();
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(node: Node, options: InputOptions<S>) {
    this.#node = node;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Never rejects. */
  async take(message: Message, send: Send, done: Done): Promise<void> {
    const stop = new AbortController();
    if (this.#closed) stop.abort(this.#stopped());
    const turn = this.#options.serial ? this.#last : Promise.resolve();
    const handled = turn.then(() => this.#handle(message, send, done, stop.signal));
    this.#last = handled;
    this.#inHand.set(handled, stop);
    await handled;
    this.#inHand.delete(handled);
  }

  /** Never rejects, and ends in less than 10 s whatever the node does. */
  async close(removed: boolean): Promise<void> {
    this.#closed = true;
    const reason = this.#stopped();
    for (const stop of this.#inHand.values()) stop.abort(reason);
    await this.#atMost(CLOSING_MS, async () => {
      await Promise.all(this.#inHand.keys());
      await this.#options.close?.(removed);
    });
    this.#inHand.clear();
    this.#options.status.close();
  }

  async #handle(message: Message, send: Send, done: Done, signal: AbortSignal): Promise<void> {
    try {
      signal.throwIfAborted();
      const { settings } = this.#options;
      if (!settings.ok) throw settings.error;
      const input = { message, send, signal, settings: settings.value };
      if (this.#options.reset && isReset(message)) await this.#options.reset(input);
      else await this.#options.handle(input);
    } catch (thrown) {
      this.#fail(causeOfEnd(thrown, signal), done);
      return;
    }
    this.#settle(done);
  }

  #fail(error: Error, done: Done): void {
    this.#options.status.failed(statusOf(error));
    this.#settle(done, error);
  }

  /** `done` runs Catch and Complete nodes at once; what they throw is not about this message. */
  #settle(done: Done, error?: Error): void {
    try {
      if (error === undefined) done();
      else done(error);
    } catch (thrown) {
      this.#node.error(reasonOf(thrown));
    }
  }

  async #atMost(milliseconds: number, work: () => Promise<void>): Promise<void> {
    const finished = new AbortController();
    const working = work()
      .catch((thrown) => this.#node.error(text('warning.whileClosing', { reason: reasonOf(thrown) })))
      .finally(() => finished.abort());
    const late = this.#clock.sleep(milliseconds, finished.signal).then(
      () => this.#node.warn(text('warning.notClosed', { seconds: milliseconds / 1000 })),
      () => {}, // Aborted: it has closed in time.
    );
    await Promise.race([working, late]);
  }

  #stopped(): StoppedByDeploy {
    return new StoppedByDeploy('stopped', { type: this.#node.type });
  }
}

/** What an aborted call throws ("This operation was aborted") says less than why it was aborted. */
function causeOfEnd(thrown: unknown, signal: AbortSignal): Error {
  const aborted = signal.aborted && !(thrown instanceof LoadError);
  return reportable(aborted ? signal.reason : thrown);
}

/** LoadErrors as they are; anything else as an Error that has it as its cause, so that nothing thrown reads as success. */
export function reportable(thrown: unknown): Error {
  return thrown instanceof LoadError ? thrown : new Error(reasonOf(thrown), { cause: thrown });
}
