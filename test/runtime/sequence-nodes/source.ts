import { OutputSequence } from '../../../nodes/shared/batches.ts';
import { type ConfigReader, readConfig } from '../../../nodes/shared/config.ts';
import type { Message, Node, NodeConfig, Red } from '../../../nodes/shared/red.ts';
import { type Input, onInput } from '../../../nodes/shared/runner.ts';
import { StatusLine } from '../../../nodes/shared/status.ts';
import { useCatalogue } from '../../../nodes/shared/texts.ts';
import { openSequence } from '../../../nodes/shared/tracked-sequence.ts';
import { systemClock } from '../../../src/clock.ts';
import { isLoadError, reasonOf } from '../../../src/errors.ts';
import { note, serve } from './events.ts';

/** Sends a tracked sequence of batches for each message, round its outputs. */
export default function register(RED: Red): void {
  serve(RED);
  useCatalogue(RED);
  function TestSource(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    onInput(this, {
      settings: readConfig(RED, this, config, settingsOf),
      status: new StatusLine(this, systemClock),
      handle: (input) => sendAll(RED, this, input),
    });
  }
  RED.nodes.registerType('test-source', TestSource);
}

type Settings = ReturnType<typeof settingsOf>;

function settingsOf(properties: ConfigReader) {
  return {
    batches: properties.integer('batches', { min: 0, default: 10 }),
    maxInFlight: properties.integer('maxInFlight', { min: 1, default: 2 }),
    outputs: properties.integer('outputs', { min: 1, default: 1 }),
    onError: properties.oneOf('onError', ['stop', 'continue'], 'stop'),
    stuckAfter: properties.number('stuckAfter', { min: 0, default: 20 }),
  };
}

async function sendAll(
  RED: Red,
  node: Node,
  { message, send, signal, settings }: Input<Settings>,
): Promise<void> {
  const at = { tab: node.z ?? '', node: node.id };
  const sequence = openSequence(RED, node, { ...settings, message, send, signal });
  const outputs = Array.from({ length: settings.outputs }, () => new OutputSequence());
  try {
    for (let index = 0; index < settings.batches; index += 1) {
      const output = outputs[index % settings.outputs] ?? new OutputSequence();
      const last = index >= settings.batches - settings.outputs;
      await sequence.send(
        output.batch(withoutPayload(message), [{ row: index }], last),
        index % settings.outputs,
      );
      note({ ...at, what: 'sent', index, inFlight: sequence.inFlight });
    }
    await sequence.finished();
    note({ ...at, what: 'over', failedBatches: sequence.failedBatches });
  } catch (error) {
    sequence.breakOff(error);
    const code = isLoadError(error) ? error.code : '';
    note({ ...at, what: 'broken-off', error: reasonOf(error), code, failedBatches: sequence.failedBatches });
    throw error;
  }
}

function withoutPayload({ payload, ...carried }: Message): Message {
  return carried;
}
