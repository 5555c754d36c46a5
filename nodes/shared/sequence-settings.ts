import type { ConfigReader } from './config.ts';
import type { Message, Node, Red } from './red.ts';
import type { Input } from './runner.ts';
import { withSequence } from './tracked-sequence.ts';

/** What every node that sends a tracked sequence lets a person choose; `stuckAfter` in seconds. */
export interface SequenceSettings {
  maxInFlight: number;
  onError: 'stop' | 'continue';
  stuckAfter: number;
}

export function readSequence(properties: ConfigReader): SequenceSettings {
  return {
    maxInFlight: properties.integer('maxInFlight', { min: 1, max: 100, default: 4 }),
    onError: properties.oneOf('onError', ['stop', 'continue'], 'stop'),
    stuckAfter: properties.integer('stuckAfter', { min: 1, max: 86_400, default: 600 }),
  };
}

/**
 * Sends a tracked sequence for the message in hand and waits until it is through. `signal` of `work` is aborted when the
 * sequence breaks off.
 */
export function sendSequence(
  RED: Red,
  node: Node,
  { message, send, signal }: Input<unknown>,
  settings: SequenceSettings & { openedAt?: number },
  work: (send: (message: Message, output?: number) => Promise<number>, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  return withSequence(RED, node, { ...settings, send, signal, message }, (sequence) =>
    work((out, output) => sequence.send(out, output), sequence.signal),
  );
}
