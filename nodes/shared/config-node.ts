import { reasonOf } from '../../src/errors.ts';
import type { Logger } from '../../src/log.ts';
import type { Node } from './red.ts';
import { text } from './texts.ts';

/**
 * Closing of a config node. Node-RED tells the nodes that use it to close at the same time and waits for all together, so
 * `close` must let work in hand end rather than cut it.
 */
export function onClose(node: Node, close: (removed: boolean) => Promise<void>): void {
  node.on('close', (removed, done) => {
    close(removed)
      .catch((error) => node.error(text('warning.whileClosing', { reason: reasonOf(error) })))
      .then(done, done);
  });
}

/** Background work of a node speaks through Node-RED's log; nothing of it belongs to a message. */
export function nodeLogger(node: Node): Logger {
  return {
    info: (text) => node.log(text),
    warn: (text) => node.warn(text),
    error: (text) => node.error(text),
  };
}
