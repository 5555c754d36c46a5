import type { Node, NodeConfig, Red } from '../../../nodes/shared/red.ts';
import { sequenceMark } from '../../../nodes/shared/sequence-mark.ts';
import { onSequenceOver, sequenceState } from '../../../nodes/shared/tracked-sequence.ts';
import { note, serve } from './events.ts';

/** Takes batches until their sender says that the sequence is over, as `sf-bulk-create` does. */
export default function register(RED: Red): void {
  serve(RED);
  function TestGatherer(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const known = new Set<string>();
    const at = { tab: this.z ?? '', node: this.id };
    this.on('input', (message, _send, done) => {
      const mark = sequenceMark(message);
      if (mark !== undefined && !known.has(mark.id)) {
        known.add(mark.id);
        onSequenceOver(mark.id, (state) => note({ ...at, what: 'gathered', state }));
      }
      const state = mark === undefined ? undefined : sequenceState(mark.id);
      note({ ...at, what: 'received', index: mark?.index ?? -1, state });
      done();
    });
  }
  RED.nodes.registerType('test-gatherer', TestGatherer);
}
