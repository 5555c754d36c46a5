import assert from 'node:assert/strict';
import type { Validated } from '../../../nodes/shared/config.ts';
import type { Message } from '../../../nodes/shared/red.ts';
import { type InputOptions, onInput } from '../../../nodes/shared/runner.ts';
import { StatusLine } from '../../../nodes/shared/status.ts';
import { LoadError } from '../../../src/errors.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { handled, nodeHelper, observe, type TestNode } from '../../support/node-helper.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const VALID: Validated<string> = { ok: true, value: 'settings' };

describe('the input runner', () => {
  nodeHelper.use();
  let clock: FakeClock;
  let caught: Message[];
  let completed: Message[];
  let received: Message[];

  beforeEach(() => {
    clock = new FakeClock();
    [caught, completed, received] = [[], [], []];
  });

  /** A flow of one node on the runner, with nodes that see what leaves it, its errors and its completions. */
  async function load(options: Partial<InputOptions<string>>): Promise<TestNode> {
    const subject = nodeHelper.type('subject', (_RED, node) => {
      const status = new StatusLine(node, clock);
      onInput(node, { settings: VALID, status, clock, handle: async () => {}, ...options });
    });
    const seen = nodeHelper.type('seen', (_RED, node, { list }) => {
      const lists: Record<string, Message[]> = { caught, completed, received };
      node.on('input', (message, _send, done) => {
        lists[String(list)]?.push(message);
        done();
      });
    });
    await nodeHelper.load(
      [subject, seen],
      [
        { id: 'tab', type: 'tab' },
        { id: 'n', type: 'subject', z: 'tab', x: 0, y: 0, wires: [['r']] },
        { id: 'r', type: 'seen', list: 'received', z: 'tab', x: 0, y: 0, wires: [] },
        { id: 'catch', type: 'catch', z: 'tab', x: 0, y: 0, scope: null, wires: [['c']] },
        { id: 'c', type: 'seen', list: 'caught', z: 'tab', x: 0, y: 0, wires: [] },
        { id: 'complete', type: 'complete', z: 'tab', x: 0, y: 0, scope: ['n'], wires: [['d']] },
        { id: 'd', type: 'seen', list: 'completed', z: 'tab', x: 0, y: 0, wires: [] },
      ],
    );
    return nodeHelper.node('n');
  }

  it('ends a message with done when its handler is through, and not before', async () => {
    let finish = () => {};
    const node = await load({
      handle: ({ message, send, settings }) => {
        send({ ...message, payload: settings });
        return new Promise((resolve) => {
          finish = resolve;
        });
      },
    });
    const observed = observe(node);
    const end = handled(node, { payload: 1, topic: 'kept' });
    await turn();
    await turn();
    assert.deepEqual(
      received.map(({ payload, topic }) => [payload, topic]),
      [['settings', 'kept']],
    );
    assert.equal(observed.ends.length, 0);
    finish();
    assert.equal(await end, undefined);
    await turn();
    assert.equal(observed.ends.length, 1);
    assert.equal(completed.length, 1);
    assert.equal(caught.length, 0);
  });

  for (const [what, thrown, text, code] of [
    [
      'a LoadError',
      new LoadError('DB_UNAVAILABLE', 'gone', { cause: new Error('ECONNREFUSED') }),
      /gone/,
      'DB_UNAVAILABLE',
    ],
    ['an Error', new TypeError('x is undefined'), /x is undefined/, undefined],
    ['a text', 'just a text', /just a text/, undefined],
    ['nothing', undefined, /undefined/, undefined],
  ] as const) {
    it(`makes ${what} that is thrown a red status and one catchable error`, async () => {
      const node = await load({ handle: () => Promise.reject(thrown) });
      const observed = observe(node);
      const error = await handled(node, { payload: 1 });
      await turn();
      await turn();
      assert.ok(error instanceof Error);
      assert.match(error.message, text);
      assert.equal(error instanceof LoadError, thrown instanceof LoadError);
      if (!(thrown instanceof LoadError)) assert.equal(error.cause, thrown);
      assert.equal(observed.ends.length, 1);
      assert.deepEqual(
        observed.statuses.map(({ fill, shape }) => [fill, shape]),
        [['red', 'ring']],
      );
      const { message, code: caughtCode } = Object(caught[0]?.error);
      assert.match(message, text);
      assert.equal(caughtCode, code);
      assert.equal(completed.length, 0);
    });
  }

  it('treats what is thrown at once like what is rejected', async () => {
    const node = await load({
      handle: () => {
        throw new LoadError('RECORD_INVALID', 'at once');
      },
    });
    const error = (await handled(node, {})) as LoadError;
    assert.equal(error.code, 'RECORD_INVALID');
  });

  it('says on each message that the settings are wrong, and in the status from the start', async () => {
    const error = new LoadError('CONFIG_INVALID', 'subject: object is missing.');
    const statuses: unknown[] = [];
    const status = new StatusLine({ status: (one) => statuses.push(one) }, clock);
    const node = await load({
      settings: { ok: false, error },
      status,
      handle: () => assert.fail('not with wrong settings'),
    });
    assert.deepEqual(statuses, [
      { fill: 'red', shape: 'ring', text: 'CONFIG_INVALID: subject: object is missing.' },
    ]);
    assert.equal(await handled(node, { payload: 1 }), error);
    assert.equal(await handled(node, { payload: 2 }), error);
    await turn();
    assert.deepEqual(
      caught.map(({ payload }) => payload),
      [1, 2],
    );
  });

  describe('with two messages', () => {
    const order: string[] = [];
    const finish = new Map<unknown, () => void>();
    const handle: InputOptions<string>['handle'] = ({ message: { payload }, signal }) => {
      order.push(`begin ${payload}`);
      return new Promise((resolve, reject) => {
        finish.set(payload, () => {
          order.push(`end ${payload}`);
          resolve();
        });
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    };

    beforeEach(() => {
      order.length = 0;
    });

    it('handles both at the same time', async () => {
      const node = await load({ handle });
      const both = [handled(node, { payload: 'a' }), handled(node, { payload: 'b' })];
      await turn();
      finish.get('b')?.();
      finish.get('a')?.();
      await Promise.all(both);
      assert.deepEqual(order, ['begin a', 'begin b', 'end b', 'end a']);
    });

    it('lets the second wait its turn when it is serial, also when the first fails', async () => {
      let first = true;
      const node = await load({
        serial: true,
        handle: (input) => {
          if (!first) return handle(input);
          first = false;
          order.push('fails');
          return turn().then(() => Promise.reject(new Error('x')));
        },
      });
      const ends = [
        handled(node, { payload: 'a' }),
        handled(node, { payload: 'b' }),
        handled(node, { payload: 'c' }),
      ];
      assert.ok((await ends[0]) instanceof Error);
      await turn();
      assert.deepEqual(order, ['fails', 'begin b']);
      finish.get('b')?.();
      await ends[1];
      await turn();
      finish.get('c')?.();
      await ends[2];
      assert.deepEqual(order, ['fails', 'begin b', 'end b', 'begin c', 'end c']);
    });

    it('ends what is in hand and what waits, each once, when the node closes', async () => {
      const closed: boolean[] = [];
      const node = await load({ serial: true, handle, close: (removed) => void closed.push(removed) });
      const observed = observe(node);
      const ends = [handled(node, { payload: 'a' }), handled(node, { payload: 'b' })];
      await turn();
      await node.close(true);
      const errors = (await Promise.all(ends)) as LoadError[];
      assert.deepEqual(order, ['begin a']);
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['LOAD_BROKEN_OFF', 'LOAD_BROKEN_OFF'],
      );
      assert.match(errors[0]?.message ?? '', /stopped or deployed anew/);
      assert.equal(observed.ends.length, 2);
      assert.deepEqual(closed, [true]);
      await turn();
      assert.deepEqual(observed.statuses.at(-1), {});
      assert.equal(clock.sleeping, 0);
    });
  });

  it('says why it was aborted rather than that it was', async () => {
    const node = await load({
      handle: async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        throw new DOMException('This operation was aborted', 'AbortError');
      },
    });
    const end = handled(node, {});
    await turn();
    await node.close(false);
    assert.match(((await end) as Error).message, /stopped or deployed anew/);
  });

  it('does not wait for ever for a handler that does not end', async () => {
    const node = await load({ handle: () => new Promise(() => {}) });
    node.receive({});
    await turn();
    let closed = false;
    const closing = node.close(false).then(() => {
      closed = true;
    });
    await clock.advance(7_900);
    assert.equal(closed, false);
    await clock.advance(200);
    await closing;
  });

  it('closes although closing fails', async () => {
    const node = await load({ close: () => Promise.reject(new Error('will not close')) });
    await node.close(false);
    assert.equal(clock.sleeping, 0);
  });
});
