import type { ConfigReader } from './config.ts';
import type { Node, Red } from './red.ts';
import type { Input } from './runner.ts';
import { text } from './texts.ts';
import { type TrackedSequence, withSequence } from './tracked-sequence.ts';

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
 * sequence breaks off. Resolves with the number of batches for which a node behind reported an error, after a warning: with
 * `onError: continue` nothing else tells of them here.
 */
export async function sendSequence(
  RED: Red,
  node: Node,
  { message, send, signal }: Input<unknown>,
  settings: SequenceSettings & { openedAt?: number },
  work: (send: TrackedSequence['send'], signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const options = { ...settings, send, signal, message };
  const { failedBatches } = await withSequence(RED, node, options, (sequence) =>
    work((...sent) => sequence.send(...sent), sequence.signal),
  );
  if (failedBatches > 0) node.warn(text('warning.failedBatches', { count: failedBatches }));
  return failedBatches;
}

/** For a status: what was done, and for how many batches a node behind reported an error. */
export function withFailedBatches(done: string, failedBatches: number): string {
  return failedBatches === 0 ? done : text('status.failedBatches', { done, count: failedBatches });
}
