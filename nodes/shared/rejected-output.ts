import { OutputSequence } from './batches.ts';
import type { Taken } from './load-intake.ts';
import type { Message, Node, Red } from './red.ts';
import type { Input } from './runner.ts';
import { openSequence, type TrackedSequence } from './tracked-sequence.ts';

/** Of `sf-bulk-create`. */
const OUTPUT = 1;
/** What a person may choose elsewhere: an error behind breaks the run off, so that no record is in neither place. */
const SEQUENCE = { maxInFlight: 4, onError: 'stop', stuckAfter: 600 } as const;

/**
 * The records of one message that cannot be sent, on their way out as one sequence. Usually they are one batch, when the
 * message is taken. Of a CSV there may be any number: full groups leave while it is read, tracked (design §5), so that the
 * reading waits for the nodes behind.
 */
export class RejectedOutput {
  readonly #RED: Red;
  readonly #node: Node;
  readonly #input: Input<unknown>;
  readonly #carriedBy: (runId: string | null) => Message;
  readonly #output = new OutputSequence();
  #sequence: TrackedSequence | undefined;

  /** `carriedBy`: what their messages carry. */
  constructor(RED: Red, node: Node, input: Input<unknown>, carriedBy: (runId: string | null) => Message) {
    this.#RED = RED;
    this.#node = node;
    this.#input = input;
    this.#carriedBy = carriedBy;
  }

  /** A group of which more follow; resolves when it is sent. */
  async group(taken: Taken): Promise<void> {
    const { send, message, signal } = this.#input;
    this.#sequence ??= openSequence(this.#RED, this.#node, { ...SEQUENCE, send, message, signal });
    await this.#sequence.send(this.#batch(taken, false), OUTPUT);
  }

  /** The rest, which may be none; resolves when all is through that was sent in groups. */
  async last(taken: Taken): Promise<void> {
    if (this.#sequence) {
      await this.#sequence.send(this.#batch(taken, true), OUTPUT);
      await this.#sequence.finished();
    } else if (taken.rejected.length > 0) {
      this.#input.send([null, this.#batch(taken, true), null]);
    }
  }

  breakOff(reason: unknown): void {
    this.#sequence?.breakOff(reason);
  }

  #batch({ runId, rejected }: Taken, last: boolean): Message {
    return this.#output.batch(this.#carriedBy(runId), rejected, last);
  }
}
