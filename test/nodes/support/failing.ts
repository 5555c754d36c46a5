import type { BatchParts } from '../../../nodes/shared/batches.ts';
import { type NodeModule, nodeHelper } from '../../support/node-helper.ts';

/** A node `failing` that reports an error for the batches of these indexes and passes the others on. */
export function failing(indexes: readonly number[]): NodeModule {
  return nodeHelper.type('failing', (_RED, node) => {
    node.on('input', (message, send, done) => {
      const { index } = message.parts as BatchParts;
      if (indexes.includes(index)) {
        done(new Error(`batch ${index} does not please`));
        return;
      }
      send(message);
      done();
    });
  });
}
