import assert from 'node:assert/strict';
import type { Message, Node, Red } from '../../../nodes/shared/red.ts';
import { onInput } from '../../../nodes/shared/runner.ts';
import { sequenceMark } from '../../../nodes/shared/sequence-mark.ts';
import { StatusLine } from '../../../nodes/shared/status.ts';
import {
  onSequenceOver,
  openSequence,
  type SequenceOptions,
  sequenceState,
  type TrackedSequence,
  withSequence,
} from '../../../nodes/shared/tracked-sequence.ts';
import type { LoadError } from '../../../src/errors.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type NodeModule, nodeHelper } from '../../support/node-helper.ts';

type Act = (message: Message, send: (message: Message) => void, done: (error?: unknown) => void) => void;

const turn = () => new Promise((resolve) => setImmediate(resolve));
const turns = async (count = 6) => {
  for (let index = 0; index < count; index += 1) await turn();
};

const untilAborted = ({ signal }: { signal: AbortSignal }) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
const errorOf = (sequence: TrackedSequence): LoadError | undefined => sequence.error;

describe('a tracked sequence', () => {
  nodeHelper.use({ nodeMessageBufferMaxLength: 3 });
  let clock: FakeClock;
  let RED: Red;
  let sender: Node;
  const opened: TrackedSequence[] = [];

  beforeEach(() => {
    clock = new FakeClock();
  });
  afterEach(() => {
    for (const sequence of opened.splice(0)) sequence.breakOff('the test is over');
  });

  const source = nodeHelper.type('source', (red, node) => {
    RED = red;
    sender = node;
  });

  /** source → a → b. Where `act` is missing the node is a core one of the flow. */
  async function flow(
    nodes: object[],
    act: Act = (_message, _send, done) => done(),
    more: NodeModule[] = [],
  ): Promise<void> {
    const acting = nodeHelper.type('acting', (_RED, node) => {
      node.on('input', (message, send, done) => act(message, send, done));
    });
    const ours = nodeHelper.type('ours', (_RED, node) => {
      const status = new StatusLine(node, clock);
      onInput(node, {
        settings: { ok: true, value: {} },
        status,
        clock,
        handle: untilAborted,
      });
    });
    const core = ['function/10-switch', 'sequence/17-split', 'sequence/18-sort'].map(nodeHelper.core);
    const on = { z: 'tab', x: 0, y: 0 };
    await nodeHelper.load(
      [source, acting, ours, ...core, ...more],
      [
        { id: 'tab', type: 'tab' },
        { id: 's', type: 'source', ...on, wires: [['a']] },
        ...nodes.map((node) => ({ ...on, wires: [[]], ...node })),
      ],
    );
  }

  function open(options: Partial<SequenceOptions> = {}): TrackedSequence {
    const sequence = openSequence(RED, sender, {
      send: (messages) => sender.send(messages),
      maxInFlight: 2,
      onError: 'stop',
      stuckAfter: 600,
      clock,
      ...options,
    });
    opened.push(sequence);
    return sequence;
  }

  /** Sends without waiting; the list grows with what has been sent. */
  function sendAll(sequence: TrackedSequence, count: number): number[] {
    const sent: number[] = [];
    for (let index = 0; index < count; index += 1) {
      sequence.send({ payload: [], parts: { id: 'p', index, count } }).then(
        (at) => sent.push(at),
        () => {},
      );
    }
    return sent;
  }

  it('marks what it sends, and keeps the mark of the message in hand', async () => {
    const seen: Message[] = [];
    await flow([{ id: 'a', type: 'acting' }], (message, _send, done) => {
      seen.push(message);
      done();
    });
    const outer = { id: 'outer', index: 7, openedAt: 5 };
    const sequence = open({ message: { _sequence: outer }, openedAt: 12 });
    await sequence.send({ topic: 'kept' });
    await sequence.finished();
    assert.equal(seen[0]?.topic, 'kept');
    assert.deepEqual(seen[0]?._sequence, { id: sequence.id, index: 0, openedAt: 12, outer });
  });

  it('gives places to those who wait in their order', async () => {
    const dones: (() => void)[] = [];
    await flow([{ id: 'a', type: 'acting' }], (_message, _send, done) => dones.push(done));
    const sequence = open();
    const sent = sendAll(sequence, 5);
    await turns();
    assert.deepEqual(sent, [0, 1]);
    assert.equal(sequence.inFlight, 2);
    dones.shift()?.();
    await turns();
    assert.deepEqual(sent, [0, 1, 2]);
    for (let left = 4; left > 0; left -= 1) {
      dones.shift()?.();
      await turns();
    }
    assert.deepEqual(sent, [0, 1, 2, 3, 4]);
    await sequence.finished();
  });

  it('is not through when a node calls done before it sends in the same turn', async () => {
    const held: (() => void)[] = [];
    await flow(
      [
        { id: 'a', type: 'acting', wires: [['b']] },
        { id: 'b', type: 'acting' },
      ],
      (message, send, done) => {
        if (message.topic === 'passed') held.push(done);
        else {
          done();
          Promise.resolve().then(() => send({ ...message, topic: 'passed' }));
        }
      },
    );
    const sequence = open();
    await sequence.send({ payload: 1 });
    let over = false;
    const finished = sequence.finished().then(() => {
      over = true;
    });
    await turns();
    assert.equal(over, false);
    held.shift()?.();
    await finished;
  });

  it('is over one turn after the last done, and tells who listens before its sender goes on', async () => {
    await flow([{ id: 'a', type: 'acting' }]);
    const order: string[] = [];
    await withSequence(
      RED,
      sender,
      { send: (m) => sender.send(m), maxInFlight: 1, onError: 'stop', stuckAfter: 1, clock },
      async (sequence) => {
        onSequenceOver(sequence.id, (state) => order.push(state));
        assert.equal(sequenceState(sequence.id), 'open');
        await sequence.send({});
      },
    );
    order.push('sender');
    assert.deepEqual(order, ['over', 'sender']);
    assert.equal(clock.sleeping, 0);
  });

  it('takes no notice of what is no mark, or of a sequence that is not open', async () => {
    await flow([{ id: 'a', type: 'acting' }]);
    const sequence = open();
    for (const mark of [
      1,
      'x',
      null,
      {},
      { id: 3, index: 0, openedAt: 0 },
      { id: 'x', index: 0.5, openedAt: 0 },
    ]) {
      assert.equal(sequenceMark({ _sequence: mark }), undefined);
      sender.send({ _sequence: mark });
    }
    sender.send({ _sequence: { id: 'unknown', index: 0, openedAt: 0 } });
    sender.send({ _sequence: { id: sequence.id, index: 99, openedAt: 0 } });
    await turns();
    assert.equal(sequence.inFlight, 0);
    await sequence.finished();
  });

  it('counts what a sender sends after its own sequence to the one around it', async () => {
    const dones: (() => void)[] = [];
    await flow([{ id: 'a', type: 'acting' }], (_message, _send, done) => dones.push(done));
    const outer = open();
    await outer.send({ payload: 'outer' });
    await turns();
    const mark = { id: outer.id, index: 0, openedAt: 0 };
    const inner = open({ message: { _sequence: mark } });
    await inner.finished();
    sender.send({ payload: 'straggler', _sequence: { id: inner.id, index: 0, openedAt: 0, outer: mark } });
    await turns();
    dones.shift()?.();
    await turns();
    assert.equal(outer.inFlight, 1);
    dones.shift()?.();
    await outer.finished();
  });

  it('is in flight again when a message of a batch turns up late', async () => {
    const dones: (() => void)[] = [];
    await flow([{ id: 'a', type: 'acting' }], (_message, _send, done) => dones.push(done));
    const sequence = open();
    await sequence.send({});
    await turns();
    dones.shift()?.();
    await turns();
    assert.equal(sequence.inFlight, 0);
    sender.send({ _sequence: { id: sequence.id, index: 0, openedAt: 0 } });
    await turns();
    assert.equal(sequence.inFlight, 1);
    dones.shift()?.();
    await sequence.finished();
  });

  describe('with nodes that never call done', () => {
    const DROPS = {
      id: 'a',
      type: 'switch',
      property: 'topic',
      propertyType: 'msg',
      rules: [{ t: 'eq', v: 'no', vt: 'str' }],
      checkall: 'true',
      outputs: 1,
      wires: [['b']],
    };

    it('waits for a second of silence, counted from the last sign', async () => {
      await flow([DROPS, { id: 'b', type: 'acting' }]);
      const sequence = open();
      await sequence.send({});
      await turns();
      await clock.advance(600);
      await sequence.send({});
      await turns();
      await clock.advance(900);
      assert.equal(sequence.inFlight, 2);
      await clock.advance(100);
      await turns();
      assert.equal(sequence.inFlight, 0);
      await sequence.finished();
      assert.equal(clock.sleeping, 0);
    });

    it('takes it for a sign of life when they forward', async () => {
      const queue: Message[] = [];
      const slow = nodeHelper.type('slow', (_RED, node) => {
        node.on('input', (message: Message) => queue.push(message));
      });
      await flow(
        [
          { id: 'a', type: 'slow', wires: [['b']] },
          { id: 'b', type: 'acting' },
        ],
        undefined,
        [slow],
      );
      const sequence = open({ maxInFlight: 3 });
      for (let index = 0; index < 3; index += 1) await sequence.send({});
      await turns();
      for (const left of [2, 1, 0]) {
        await clock.advance(900);
        assert.equal(sequence.inFlight, left + 1);
        nodeHelper.node('a').send(queue.shift() ?? {});
        await turns();
        assert.equal(sequence.inFlight, left);
      }
      await sequence.finished();
    });

    it('does not wait for what they forward', async () => {
      await flow([
        { ...DROPS, rules: [{ t: 'else' }] },
        { id: 'b', type: 'acting' },
      ]);
      const sequence = open();
      const sent = sendAll(sequence, 6);
      await turns(40);
      assert.deepEqual(sent, [0, 1, 2, 3, 4, 5]);
      await sequence.finished();
    });

    it('lets earlier ones go that were dropped when a later one is forwarded', async () => {
      await flow([DROPS, { id: 'b', type: 'acting' }]);
      const sequence = open({ maxInFlight: 3 });
      await sequence.send({ topic: 'yes' });
      await sequence.send({ topic: 'yes' });
      await sequence.send({ topic: 'no' });
      await turns(20);
      assert.equal(sequence.inFlight, 0);
      await sequence.finished();
    });
  });

  describe('with nodes that gather', () => {
    const JOIN = {
      id: 'a',
      type: 'join',
      mode: 'auto',
      property: 'payload',
      propertyType: 'msg',
      wires: [['b']],
    };

    it('sends on beyond the window, as far as Node-RED lets nodes keep messages', async () => {
      await flow([JOIN, { id: 'b', type: 'acting' }]);
      const sequence = open({ maxInFlight: 2 });
      const sent = sendAll(sequence, 20);
      await turns(60);
      assert.equal(sent.length, 2 + 3);
      assert.equal(sequence.inFlight, 5);
    });

    it('names the node when nothing more can come: the window is full', async () => {
      await flow([JOIN, { id: 'b', type: 'acting' }]);
      const sequence = open({ maxInFlight: 2 });
      sendAll(sequence, 20);
      await turns(60);
      await clock.advance(599_000);
      assert.equal(errorOf(sequence), undefined);
      await clock.advance(1_000);
      assert.match(errorOf(sequence)?.message ?? '', /at join a for 600 s/);
    });

    it('waits for a slow sender, and only after its end for 600 s', async () => {
      await flow([JOIN, { id: 'b', type: 'acting' }]);
      const sequence = open();
      await sequence.send({ parts: { id: 'p', index: 0 }, payload: [] });
      await turns();
      await clock.advance(7_100_000);
      assert.equal(errorOf(sequence), undefined);
      await sequence.send({ parts: { id: 'p', index: 1 }, payload: [] });
      await turns();
      const finished = assert.rejects(sequence.finished(), { code: 'LOAD_BROKEN_OFF' });
      await clock.advance(599_000);
      assert.equal(errorOf(sequence), undefined);
      await clock.advance(1_000);
      await finished;
    });
  });

  describe('that stands still', () => {
    it('is broken off after stuckAfter without a move of that batch', async () => {
      await flow([{ id: 'a', type: 'acting', name: 'hole' }], () => {});
      const sequence = open();
      await sequence.send({});
      await turns();
      await clock.advance(300_000);
      await sequence.send({});
      await turns();
      await clock.advance(299_000);
      assert.equal(errorOf(sequence), undefined);
      await clock.advance(1_000);
      assert.equal(errorOf(sequence)?.code, 'LOAD_BROKEN_OFF');
      assert.match(errorOf(sequence)?.message ?? '', /^Batch 0 has been at acting "hole" \(a\) for 600 s/);
      assert.equal(clock.sleeping, 0);
    });

    it('is not while a node of ours has the batch: it always answers', async () => {
      await flow([{ id: 'a', type: 'ours' }]);
      const sequence = open();
      await sequence.send({});
      await turns();
      await clock.advance(24 * 3_600_000);
      assert.equal(errorOf(sequence), undefined);
      assert.equal(sequence.inFlight, 1);
    });

    it('is never with stuckAfter 0', async () => {
      await flow([{ id: 'a', type: 'acting' }], () => {});
      const sequence = open({ stuckAfter: 0 });
      await sequence.send({});
      await clock.advance(24 * 3_600_000);
      assert.equal(errorOf(sequence), undefined);
    });
  });

  describe('that is broken off', () => {
    it('tells everyone: who sends, who waits, who listens; and the first reason counts', async () => {
      await flow([{ id: 'a', type: 'acting' }], () => {});
      const sequence = open({ maxInFlight: 1 });
      await sequence.send({});
      const told: unknown[] = [];
      onSequenceOver(sequence.id, (state, error) => told.push(state, error));
      const cause = new Error('the cursor is gone');
      const waiting = assert.rejects(sequence.send({}), { code: 'LOAD_BROKEN_OFF', cause });
      const finished = assert.rejects(sequence.finished(), { cause });
      sequence.breakOff(cause);
      sequence.breakOff(new Error('too late'));
      await Promise.all([
        waiting,
        finished,
        assert.rejects(sequence.send({}), { cause }),
        assert.rejects(sequence.finished(), { cause }),
      ]);
      assert.deepEqual(told, ['broken-off', errorOf(sequence)]);
      assert.equal(sequence.signal.reason, errorOf(sequence));
      assert.equal(sequenceState(sequence.id), 'broken-off');
      assert.equal(sequence.sent, 1);
    });

    it('sends nothing more, not even what had its place already', async () => {
      let arrived = 0;
      await flow([{ id: 'a', type: 'acting' }], () => {
        arrived += 1;
      });
      const sequence = open();
      const sending = assert.rejects(sequence.send({}), { code: 'LOAD_BROKEN_OFF' });
      sequence.breakOff('at the same moment');
      await sending;
      await turns();
      assert.equal(arrived, 0);
    });

    it('follows the signal of the message in hand, also one that is aborted already', async () => {
      await flow([{ id: 'a', type: 'acting' }], () => {});
      const stop = new AbortController();
      const sequence = open({ signal: stop.signal });
      stop.abort(new Error('stopped'));
      assert.match(errorOf(sequence)?.message ?? '', /stopped/);
      assert.match(open({ signal: stop.signal }).error?.message ?? '', /stopped/);
    });

    it('by work that throws', async () => {
      await flow([{ id: 'a', type: 'acting' }], () => {});
      let broken: TrackedSequence | undefined;
      const options: SequenceOptions = {
        send: (m) => sender.send(m),
        maxInFlight: 1,
        onError: 'stop',
        stuckAfter: 1,
        clock,
      };
      await assert.rejects(
        withSequence(RED, sender, options, async (sequence) => {
          broken = sequence;
          throw new Error('DB gone');
        }),
        /DB gone/,
      );
      assert.equal(broken && sequenceState(broken.id), 'broken-off');
    });

    it('by an error behind it: its sender gets the reason, whatever that made it throw', async () => {
      await flow([{ id: 'a', type: 'acting' }], (_message, _send, done) => done(new Error('refused')));
      const options: SequenceOptions = {
        send: (m) => sender.send(m),
        maxInFlight: 1,
        onError: 'stop',
        stuckAfter: 1,
        clock,
      };
      const sending = withSequence(RED, sender, options, async (sequence) => {
        await sequence.send({});
        await new Promise((_resolve, reject) => {
          sequence.signal.addEventListener('abort', () => reject(new Error('cursor closed')));
        });
      });
      await assert.rejects(sending, /acting a reported an error for batch 0: refused/);
    });
  });
});
