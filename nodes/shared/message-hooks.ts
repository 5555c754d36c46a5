import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { reasonOf } from '../../src/errors.ts';
import type { CompleteEvent, LogEntry, ReceiveEvent, Red, SendEvent } from './red.ts';
import type { Stopping } from './stopping-nodes.ts';
import { text } from './texts.ts';

/** One label for each copy of this module: Node-RED refuses a hook whose label is taken. */
const LABEL = `sfBulk${randomUUID().replaceAll('-', '')}`;

export interface MessageObserver {
  /** A message has been sent, is cloned where it had to be, and reaches its node in another turn. */
  sent(event: SendEvent): void;
  received(event: ReceiveEvent): void;
  completed(event: CompleteEvent): void;
  /** What nodes report without Catch nodes seeing it goes to the log. */
  logged(entry: LogEntry): void;
  /** Before the first node closes. */
  stopping(event: Stopping): void;
}

/** Shows an observer all messages of all flows until the returned function is called. What it throws stops at the log. */
export function observeMessages(RED: Red, observer: MessageObserver): () => void {
  const safely =
    <E>(observe: (event: E) => void) =>
    (event: E): void => {
      try {
        observe(event);
      } catch (error) {
        RED.log.warn(text('warning.miscounted', { reason: reasonOf(error) }));
      }
    };
  const log = new EventEmitter();
  log.on(
    'log',
    safely((entry: LogEntry) => observer.logged(entry)),
  );
  const stopping = safely((event: Stopping) => observer.stopping(event));

  RED.hooks.add(
    `preDeliver.${LABEL}`,
    safely((event: SendEvent) => observer.sent(event)),
  );
  RED.hooks.add(
    `onReceive.${LABEL}`,
    safely((event: ReceiveEvent) => observer.received(event)),
  );
  RED.hooks.add(
    `onComplete.${LABEL}`,
    safely((event: CompleteEvent) => observer.completed(event)),
  );
  RED.log.addHandler(log);
  RED.events.on('flows:stopping', stopping);
  return () => {
    RED.hooks.remove(`*.${LABEL}`);
    RED.log.removeHandler(log);
    RED.events.removeListener('flows:stopping', stopping);
  };
}
