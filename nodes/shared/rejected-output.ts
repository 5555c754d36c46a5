import { OutputSequence } from './batches.ts';
import type { Taken, TakenGroup } from './load-intake.ts';
import type { Message, Node, Red } from './red.ts';
import type { Input } from './runner.ts';
import { openSequence, type TrackedSequence } from './tracked-sequence.ts';

/** Of `sf-bulk-create`. */
const OUTPUT = 1;
/** What a person may choose elsewhere: an error behind breaks the run off, so that no record is in neither place. */
const SEQUENCE = { maxInFlight: 4, onError: 'stop', stuckAfter: 600 } as const;

/**
 * The records of one message that cannot be sent, on their way out as one sequence. Usually they are one batch. Of a CSV
 * there may be any number: full groups leave while it is read, tracked (design §5), so that the reading waits for the nodes
 * behind. All are through before the last row is loaded: an error behind always finds a run that it can break off.
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

  /** All that there are. */
  whole(taken: Taken): void {
    if (taken.rejected.length > 0) this.#input.send([null, this.#batch(taken, true), null]);
  }

  /** Resolves when it is sent, of several the last one when all are through. The run's end ends them, too. */
  async group(group: TakenGroup): Promise<void> {
    if (group.isLast && !this.#sequence) {
      this.whole(group);
      group.sent();
      return;
    }
    this.#sequence ??= this.#open(group.signal);
    await this.#sequence.send(this.#batch(group, group.isLast), OUTPUT);
    group.sent();
    if (group.isLast) await this.#sequence.finished();
  }

  #open(runOver: AbortSignal): TrackedSequence {
    const { send, message, signal } = this.#input;
    return openSequence(this.#RED, this.#node, {
      ...SEQUENCE,
      send,
      message,
      rejectedBy: this.#node.id,
      signal: AbortSignal.any([signal, runOver]),
    });
  }

  #batch({ runId, rejected }: Taken, last: boolean): Message {
    return this.#output.batch(this.#carriedBy(runId), rejected, last);
  }
}
