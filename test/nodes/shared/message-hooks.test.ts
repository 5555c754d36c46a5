import assert from 'node:assert/strict';
import { type MessageObserver, observeMessages } from '../../../nodes/shared/message-hooks.ts';
import type { LogEntry, Message, Red } from '../../../nodes/shared/red.ts';
import { handled, nodeHelper } from '../../support/node-helper.ts';

const seeing = (seen: string[]): MessageObserver => ({
  sent: () => seen.push('sent'),
  received: () => seen.push('received'),
  completed: () => seen.push('completed'),
  logged: ({ level }) => {
    if (level === 20) seen.push('logged');
  },
  stopping: () => seen.push('stopping'),
});

const failing: MessageObserver = {
  sent: () => assert.fail('thrown at sent'),
  received: () => assert.fail('thrown at received'),
  completed: () => assert.fail('thrown at completed'),
  logged: ({ level }: LogEntry) => {
    if (level === 20) assert.fail('thrown at logged');
  },
  stopping: () => assert.fail('thrown at stopping'),
};

describe('looking at messages', () => {
  nodeHelper.use();
  let RED: Red;
  let arrived: Message[];

  beforeEach(async () => {
    arrived = [];
    const first = nodeHelper.type('first', (red, node) => {
      RED = red;
      node.on('input', (message, send, done) => {
        send(message);
        done();
      });
    });
    const second = nodeHelper.type('second', (_RED, node) => {
      node.on('input', (message, _send, done) => {
        arrived.push(message);
        node.error('for the log');
        done();
      });
    });
    await nodeHelper.load(
      [first, second],
      [
        { id: 'a', type: 'first', wires: [['b']] },
        { id: 'b', type: 'second', wires: [] },
      ],
    );
  });

  async function passOne(): Promise<void> {
    const message = {};
    await handled(nodeHelper.node('a'), message);
    await new Promise((resolve) => setImmediate(resolve));
  }

  it('shows each step of a message until it is stopped', async () => {
    const seen: string[] = [];
    const stop = observeMessages(RED, seeing(seen));
    await passOne();
    assert.deepEqual(seen, ['received', 'sent', 'completed', 'received', 'logged', 'completed']);
    stop();
    await passOne();
    assert.equal(seen.length, 6);
    assert.equal(arrived.length, 2);
  });

  it("never holds up anyone's messages, whatever the observer throws", async () => {
    const warnings: string[] = [];
    const { warn } = RED.log;
    RED.log.warn = (text) => warnings.push(text);
    const stop = observeMessages(RED, failing);
    try {
      await passOne();
      RED.events.emit('flows:stopping', {});
    } finally {
      stop();
      RED.log.warn = warn;
    }
    assert.equal(arrived.length, 1);
    const thrownAt = warnings.map((text) => /thrown at \w+/.exec(text)?.[0]);
    assert.deepEqual(
      new Set(thrownAt),
      new Set(['sent', 'received', 'completed', 'logged', 'stopping'].map((at) => `thrown at ${at}`)),
    );
  });

  it('is possible for two copies of the package at a time', async () => {
    const url = new URL('../../../nodes/shared/message-hooks.ts?copy=2', import.meta.url).href;
    const copy: { observeMessages: typeof observeMessages } = await import(url);
    const [one, two]: [string[], string[]] = [[], []];
    const stops = [observeMessages(RED, seeing(one)), copy.observeMessages(RED, seeing(two))];
    await passOne();
    for (const stop of stops) stop();
    assert.deepEqual(one, two);
    assert.equal(one.length, 6);
  });
});
