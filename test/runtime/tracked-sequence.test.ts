import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type FlowNode, type NodeRed, type NodeRedVersion, startNodeRed } from '../support/node-red.ts';
import type { TestEvent } from './sequence-nodes/events.ts';
import type { Behaviour } from './sequence-nodes/stage.ts';

/** Design §5, case by case, on Node-RED's own core nodes. Each case has a tab of its own; all are deployed at once. */

type Part = Omit<FlowNode, 'z'>;

/** A tab with an inject, a source wired to the first part, and parts that are wired one to the next unless they say. */
function tab(name: string, source: object, ...parts: Part[]): FlowNode[] {
  const wired = parts.map((part, index) => {
    const next = parts[index + 1]?.id;
    return { wires: next === undefined ? [[]] : [[next]], ...part, z: name };
  });
  const first = parts[0]?.id;
  return [
    { id: name, type: 'tab', label: name },
    {
      id: `${name}-go`,
      type: 'inject',
      z: name,
      props: [],
      repeat: '',
      once: false,
      wires: [[`${name}-source`]],
    },
    {
      id: `${name}-source`,
      type: 'test-source',
      z: name,
      wires: [first === undefined ? [] : [first]],
      ...source,
    },
    ...wired,
  ] as unknown as FlowNode[];
}

function stage(id: string, behaviour: Behaviour, more: object = {}): Part {
  return { id, type: 'test-stage', behaviour, ...more };
}

const SUBFLOW: FlowNode[] = [
  {
    id: 'sub',
    type: 'subflow',
    name: 'sub',
    in: [{ wires: [{ id: 'sub-stage' }] }],
    out: [{ wires: [{ id: 'sub-stage', port: 0 }] }],
  } as unknown as FlowNode,
  { id: 'sub-stage', type: 'test-stage', z: 'sub', behaviour: 'pass', wires: [[]] },
];

const DROP_ALL = {
  type: 'switch',
  property: 'payload',
  propertyType: 'msg',
  rules: [{ t: 'eq', v: 'never', vt: 'str' }],
  checkall: 'true',
  repair: false,
  outputs: 1,
};
const PASS_ALL = {
  ...DROP_ALL,
  property: '$count(payload) > 0',
  propertyType: 'jsonata',
  rules: [{ t: 'true' }],
};
const JOIN = {
  type: 'join',
  mode: 'auto',
  build: 'array',
  property: 'payload',
  propertyType: 'msg',
  reduceRight: false,
};
const DELAY = {
  type: 'delay',
  pauseType: 'delay',
  timeout: '100',
  timeoutUnits: 'milliseconds',
  rate: '1',
  nbRateUnits: '1',
  rateUnits: 'second',
};

const FLOWS: FlowNode[] = [
  ...tab('window', { batches: 6, maxInFlight: 3 }, stage('window-hold', 'hold')),
  ...tab('empty', { batches: 0 }, stage('empty-stage', 'pass')),
  ...tab('unwired', { batches: 5 }),
  ...tab('complete', { batches: 2 }, stage('complete-hold', 'hold')),
  {
    id: 'complete-node',
    type: 'complete',
    z: 'complete',
    scope: ['complete-source'],
    uncaught: false,
    wires: [['complete-seen']],
  },
  { ...stage('complete-seen', 'pass'), z: 'complete', wires: [[]] } as unknown as FlowNode,

  ...tab(
    'call',
    { batches: 5 },
    { id: 'call-node', type: 'link call', links: ['call-in'], linkType: 'static', timeout: '10' },
    stage('call-after', 'pass'),
  ),
  { id: 'call-in', type: 'link in', z: 'call', name: 'sub', links: [], wires: [['call-hold']] },
  { ...stage('call-hold', 'hold'), z: 'call', wires: [['call-out']] } as unknown as FlowNode,
  { id: 'call-out', type: 'link out', z: 'call', mode: 'return', links: [], wires: [] },

  ...tab(
    'call-late',
    { batches: 3, onError: 'stop' },
    { id: 'call-late-node', type: 'link call', links: ['call-late-in'], linkType: 'static', timeout: '0.2' },
  ),
  { id: 'call-late-in', type: 'link in', z: 'call-late', links: [], wires: [[]] },
  ...tab(
    'call-stuck',
    { batches: 3, onError: 'continue', stuckAfter: 0.5 },
    {
      id: 'call-stuck-node',
      type: 'link call',
      name: 'far away',
      links: ['call-stuck-in'],
      linkType: 'static',
      timeout: '0.1',
    },
  ),
  { id: 'call-stuck-in', type: 'link in', z: 'call-stuck', links: [], wires: [[]] },

  ...tab('caught', { batches: 4, onError: 'continue' }, stage('caught-fails', 'done with error')),
  { id: 'caught-catch', type: 'catch', z: 'caught', scope: null, uncaught: false, wires: [['caught-hold']] },
  { ...stage('caught-hold', 'hold'), z: 'caught', wires: [[]] } as unknown as FlowNode,

  ...tab(
    'switch',
    { batches: 12, maxInFlight: 4 },
    { id: 'switch-node', ...PASS_ALL },
    stage('switch-hold', 'hold'),
  ),
  ...tab('switch-drops', { batches: 3, maxInFlight: 4 }, { id: 'switch-drops-node', ...DROP_ALL }),
  ...tab(
    'rbe',
    { batches: 6, maxInFlight: 3 },
    {
      id: 'rbe-node',
      type: 'rbe',
      func: 'rbe',
      property: 'topic',
      inout: 'out',
      septopics: false,
      topi: 'topic',
    },
    stage('rbe-after', 'pass'),
  ),

  ...tab('join', { batches: 9, maxInFlight: 2 }, { id: 'join-node', ...JOIN }, stage('join-after', 'pass')),
  ...tab(
    'batch',
    { batches: 9, maxInFlight: 2 },
    { id: 'batch-node', type: 'batch', mode: 'count', count: 3, overlap: 0, topics: [] },
    stage('batch-after', 'pass'),
  ),
  ...tab(
    'sort',
    { batches: 6, maxInFlight: 2 },
    {
      id: 'sort-node',
      type: 'sort',
      order: 'descending',
      target: 'payload',
      targetType: 'seq',
      msgKey: '',
      msgKeyType: 'elem',
      seqKey: 'parts.index',
      seqKeyType: 'msg',
    },
    stage('sort-after', 'pass'),
  ),
  ...tab(
    'join-stuck',
    { batches: 4, maxInFlight: 2, stuckAfter: 0.5 },
    { id: 'join-stuck-node', ...JOIN, mode: 'custom', count: '5' },
  ),
  ...tab(
    'split',
    { batches: 4 },
    {
      id: 'split-node',
      type: 'split',
      splt: '\\n',
      spltType: 'str',
      arraySplt: 1,
      arraySpltType: 'len',
      stream: false,
      addname: '',
    },
    stage('split-hold', 'hold'),
  ),

  ...tab('delay', { batches: 6 }, { id: 'delay-node', ...DELAY }, stage('delay-after', 'pass')),
  ...tab('subflow', { batches: 6 }, { id: 'subflow-a', type: 'subflow:sub' }, stage('subflow-hold', 'hold')),
  ...tab('disabled', { batches: 4 }, stage('disabled-stage', 'hold', { d: true })),
  ...tab(
    'new-message',
    { batches: 4 },
    stage('new-message-stage', 'new message'),
    stage('new-message-hold', 'hold'),
  ),
  ...tab('late', { batches: 4 }, stage('late-stage', 'send after done'), stage('late-after', 'pass')),
  ...tab(
    'wires',
    { batches: 3, maxInFlight: 1, wires: [['wires-a', 'wires-b']] },
    stage('wires-a', 'hold', { wires: [[]] }),
    stage('wires-b', 'hold'),
  ),
  ...tab(
    'outputs',
    { batches: 9, maxInFlight: 2, outputs: 3, wires: [['outputs-hold'], ['outputs-b'], ['outputs-hold']] },
    stage('outputs-hold', 'hold', { wires: [[]] }),
    stage('outputs-b', 'pass'),
  ),

  ...tab('throw-stop', { batches: 5, onError: 'stop' }, stage('throw-stop-stage', 'throw', { only: 1 })),
  ...tab(
    'throw-stuck',
    { batches: 5, onError: 'continue', stuckAfter: 0.5 },
    stage('throw-stuck-stage', 'throw', { only: 1, name: 'thrower' }),
  ),
  ...tab('never', { batches: 5, stuckAfter: 0.4 }, stage('never-stage', 'never', { name: 'black hole' })),
  ...tab('done-stop', { batches: 5 }, stage('done-stop-stage', 'done with error', { only: 2 })),
  ...tab(
    'done-continue',
    { batches: 5, onError: 'continue' },
    stage('done-continue-stage', 'done with error', { only: 2 }),
  ),
  ...tab('log-stop', { batches: 5 }, stage('log-stop-stage', 'log error', { only: 2 })),
  ...tab(
    'log-later',
    { batches: 5, onError: 'continue' },
    stage('log-later-stage', 'log error later', { only: 2 }),
  ),
  ...tab('log-caught', { batches: 5 }, stage('log-caught-stage', 'log error', { only: 2 })),
  { id: 'log-caught-catch', type: 'catch', z: 'log-caught', scope: null, uncaught: false, wires: [[]] },
  ...tab(
    'function',
    { batches: 5 },
    {
      id: 'function-node',
      type: 'function',
      func: 'if (msg.parts.index === 1) node.error("no such thing", msg);\nreturn msg;',
      outputs: 1,
      noerr: 0,
      initialize: '',
      finalize: '',
      libs: [],
    },
  ),

  ...tab(
    'nested',
    { batches: 2, maxInFlight: 1 },
    { id: 'nested-inner', type: 'test-source', batches: 3, maxInFlight: 1 },
    stage('nested-hold', 'hold'),
  ),
  ...tab('gather', { batches: 5 }, stage('gather-filter', 'drop', { only: 4 }), {
    id: 'gather-node',
    type: 'test-gatherer',
  }),
  ...tab('gather-broken', { batches: 5 }, stage('gather-fails', 'done with error', { only: 3 }), {
    id: 'gather-broken-node',
    type: 'test-gatherer',
  }),

  ...tab(
    'deploy-passed',
    { batches: 6, maxInFlight: 3 },
    stage('deploy-passed-middle', 'pass'),
    stage('deploy-passed-hold', 'hold'),
  ),
  ...tab(
    'deploy-holding',
    { batches: 6, maxInFlight: 3 },
    { id: 'deploy-holding-delay', ...DELAY, timeout: '60', timeoutUnits: 'seconds' },
    stage('deploy-holding-after', 'pass'),
  ),
  ...tab(
    'deploy-beside',
    { batches: 3, maxInFlight: 3, wires: [['deploy-beside-hold', 'deploy-beside-debug']] },
    stage('deploy-beside-hold', 'hold', { wires: [[]] }),
    {
      id: 'deploy-beside-debug',
      type: 'debug',
      active: false,
      tosidebar: true,
      complete: 'payload',
      wires: [],
    },
  ),
  { ...stage('deploy-beside-other', 'pass'), z: 'deploy-beside', wires: [[]] } as unknown as FlowNode,
  ...tab('deploy-sender', { batches: 6, maxInFlight: 3 }, stage('deploy-sender-hold', 'hold')),
  ...tab(
    'deploy-subflow',
    { batches: 6, maxInFlight: 3 },
    { id: 'deploy-subflow-a', type: 'subflow:sub' },
    stage('deploy-subflow-hold', 'hold'),
  ),
  ...SUBFLOW,
];

for (const version of ['5', '4'] satisfies NodeRedVersion[]) {
  describe(`tracked sequences in Node-RED ${version}`, () => {
    let nodeRed: NodeRed;

    before(async () => {
      const folder = join(import.meta.dirname, 'sequence-nodes');
      // The package itself has the texts.
      nodeRed = await startNodeRed({ version, packages: ['linked', { folder }] });
      const broken = (await nodeRed.nodes()).filter(({ err }) => err !== undefined);
      assert.deepEqual(broken, []);
      await nodeRed.deploy(FLOWS);
    });
    after(() => nodeRed.stop());

    const eventsOf = (name: string) => nodeRed.request<TestEvent[]>('GET', `test-sequence/events/${name}`);
    const ended = ({ node, what }: TestEvent, source: string) =>
      node === source && (what === 'over' || what === 'broken-off');

    /** Waits for so many events of a kind on a tab. */
    async function untilSeen(
      name: string,
      fits: (event: TestEvent) => boolean,
      count = 1,
    ): Promise<TestEvent[]> {
      let events: TestEvent[] = [];
      const what = `${count} such events on ${name}, ${fits}`;
      const seen = async () => {
        events = await eventsOf(name);
        return events.filter(fits).length >= count;
      };
      try {
        await nodeRed.waitFor(seen, what, 5_000);
      } catch (error) {
        throw new Error(`${error}\n${events.map((event) => JSON.stringify(event)).join('\n')}`);
      }
      return events;
    }

    async function untilEnded(name: string): Promise<{ events: TestEvent[]; end: TestEvent }> {
      const events = await untilSeen(name, (event) => ended(event, `${name}-source`));
      const end = events.find((event) => ended(event, `${name}-source`));
      assert.ok(end);
      return { events, end };
    }

    async function release(node: string): Promise<void> {
      const releaseOne = async () => {
        const { released } = await nodeRed.request<{ released: boolean }>(
          'POST',
          `test-sequence/release/${node}`,
        );
        return released;
      };
      await nodeRed.waitFor(releaseOne, `${node} had something to release`, 5_000);
    }

    async function releaseAll(node: string, count: number): Promise<void> {
      for (let released = 0; released < count; released += 1) await release(node);
    }

    const start = (name: string) => nodeRed.inject(`${name}-go`);
    const mostInFlight = (events: TestEvent[]) => Math.max(...events.map(({ inFlight = 0 }) => inFlight));
    const received = (events: TestEvent[], at: string) =>
      events.filter(({ node, what }) => node === at && what === 'received').map(({ index }) => index);

    describe('the window', () => {
      it('is filled, never exceeded, and filled again as batches come through', async () => {
        await start('window');
        await untilSeen('window', ({ what }) => what === 'received', 3);
        for (let through = 1; through <= 6; through += 1) {
          await release('window-hold');
          await untilSeen('window', ({ what }) => what === 'sent', Math.min(3 + through, 6));
        }
        const { events, end } = await untilEnded('window');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 3);
        const order = events.map(({ what, index }) => `${what} ${index}`);
        assert.ok(order.indexOf('sent 3') > order.indexOf('released 0'), order.join());
        assert.ok(order.indexOf('sent 5') > order.indexOf('released 2'), order.join());
      });

      it('is over at once without batches, and without wires', async () => {
        await start('empty');
        await start('unwired');
        assert.equal((await untilEnded('empty')).end.what, 'over');
        assert.equal((await untilEnded('unwired')).events.filter(({ what }) => what === 'sent').length, 5);
      });

      it('lets a Complete node at the sender mean what it says', async () => {
        await start('complete');
        await untilSeen('complete', ({ node }) => node === 'complete-hold', 2);
        await releaseAll('complete-hold', 2);
        const events = await untilSeen('complete', ({ node }) => node === 'complete-seen');
        const order = events.map(({ node, what }) => `${node} ${what}`);
        assert.ok(
          order.indexOf('complete-seen received') > order.lastIndexOf('complete-hold released'),
          order.join(),
        );
      });

      it('is one for all outputs of the sender', async () => {
        await start('outputs');
        await releaseAll('outputs-hold', 6);
        const { events, end } = await untilEnded('outputs');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 2);
        assert.deepEqual(received(events, 'outputs-b'), [1, 4, 7]);
      });
    });

    describe('what nodes do with a batch', () => {
      it('two wires: through when both ends are done', async () => {
        await start('wires');
        for (let index = 0; index < 3; index += 1) {
          await release('wires-a');
          await untilSeen('wires', ({ what }) => what === 'released', index * 2 + 1);
          await release('wires-b');
        }
        const { events, end } = await untilEnded('wires');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 1);
        const order = events.map(({ node, what, index }) => `${node} ${what} ${index}`);
        assert.ok(
          order.indexOf('wires-source sent 1') > order.indexOf('wires-b released 0'),
          order.join('\n'),
        );
      });

      it('link call: held until it returns', async () => {
        await start('call');
        await releaseAll('call-hold', 5);
        const { events, end } = await untilEnded('call');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 2);
        assert.deepEqual(received(events, 'call-after'), [0, 1, 2, 3, 4]);
      });

      it('a chain behind Catch: held until its end, counted as failed', async () => {
        await start('caught');
        await releaseAll('caught-hold', 4);
        const { events, end } = await untilEnded('caught');
        assert.equal(end.what, 'over');
        assert.equal(end.failedBatches, 4);
        assert.equal(mostInFlight(events), 2);
        assert.deepEqual(received(events, 'caught-hold'), [0, 1, 2, 3]);
      });

      it('a switch with several batches inside', async () => {
        await start('switch');
        await releaseAll('switch-hold', 12);
        const { events, end } = await untilEnded('switch');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 4);
        assert.equal(received(events, 'switch-hold').length, 12);
      });

      it('a switch, and a filter, that let nothing pass: through after a second of silence', async () => {
        await Promise.all([start('switch-drops'), start('rbe')]);
        const [dropped, filtered] = await Promise.all([untilEnded('switch-drops'), untilEnded('rbe')]);
        assert.equal(dropped.end.what, 'over');
        assert.equal(filtered.end.what, 'over');
        assert.equal(mostInFlight(filtered.events), 3);
      });

      it('join, batch and sort: what they hold does not fill the window', async () => {
        await Promise.all(['join', 'batch', 'sort'].map(start));
        const [joined, batched, sorted] = await Promise.all(['join', 'batch', 'sort'].map(untilEnded));
        assert.equal(joined?.end.what, 'over');
        const [whole] = joined?.events.filter(({ node }) => node === 'join-after') ?? [];
        assert.deepEqual(
          whole?.payload,
          Array.from({ length: 9 }, (_, row) => [{ row }]),
        );
        assert.ok(mostInFlight(joined?.events ?? []) > 2);
        assert.equal(batched?.end.what, 'over');
        assert.equal(received(batched?.events ?? [], 'batch-after').length, 9);
        assert.equal(sorted?.end.what, 'over');
        assert.deepEqual(received(sorted?.events ?? [], 'sort-after'), [5, 4, 3, 2, 1, 0]);
      });

      it('split: through with the last part', async () => {
        await start('split');
        await releaseAll('split-hold', 4);
        const { events, end } = await untilEnded('split');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 2);
      });

      it('delay: held meanwhile', async () => {
        await start('delay');
        const { events, end } = await untilEnded('delay');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 2);
        assert.equal(received(events, 'delay-after').length, 6);
      });

      it('a subflow: held inside and behind', async () => {
        await start('subflow');
        await releaseAll('subflow-hold', 6);
        const { events, end } = await untilEnded('subflow');
        assert.equal(end.what, 'over');
        assert.equal(mostInFlight(events), 2);
        assert.deepEqual(received(events, 'sub-stage'), [0, 1, 2, 3, 4, 5]);
      });

      it('a disabled node is not seen: through early', async () => {
        await start('disabled');
        const { events, end } = await untilEnded('disabled');
        assert.equal(end.what, 'over');
        assert.deepEqual(received(events, 'disabled-stage'), []);
      });

      it('a new message object is not seen: through early', async () => {
        await start('new-message');
        const { events, end } = await untilEnded('new-message');
        assert.equal(end.what, 'over');
        assert.equal(events.filter(({ what }) => what === 'released').length, 0);
        await releaseAll('new-message-hold', 4);
      });

      it('sent after done: through early, and nothing is lost', async () => {
        await start('late');
        const { end } = await untilEnded('late');
        assert.equal(end.what, 'over');
        const events = await untilSeen('late', ({ node }) => node === 'late-after', 4);
        assert.deepEqual(received(events, 'late-after'), [0, 1, 2, 3]);
      });

      it('a sender behind a sender: the outer batch is through with the inner sequence', async () => {
        await start('nested');
        await releaseAll('nested-hold', 6);
        const { events, end } = await untilEnded('nested');
        assert.equal(end.what, 'over');
        assert.equal(events.filter(({ node, what }) => node === 'nested-inner' && what === 'over').length, 2);
        const order = events.map(({ node, what, index }) => `${node} ${what} ${index}`);
        assert.ok(
          order.indexOf('nested-source sent 1') > order.indexOf('nested-inner over undefined'),
          order.join('\n'),
        );
      });
    });

    describe('errors', () => {
      for (const [name, text] of [
        ['done-stop', /test-stage done-stop-stage reported an error for batch 2: refused by done/],
        ['log-stop', /log-stop-stage reported an error for batch 2: refused by node.error/],
        ['log-caught', /log-caught-stage reported an error for batch 2: .*refused by node.error/],
        ['throw-stop', /throw-stop-stage reported an error for batch 1: thrown in a handler/],
        ['function', /function function-node reported an error for batch 1: no such thing/],
        ['call-late', /link call call-late-node reported an error for batch [01]: timeout/],
      ] as const) {
        it(`break the sequence off: ${name}`, async () => {
          await start(name);
          const { end, events } = await untilEnded(name);
          assert.equal(end.what, 'broken-off');
          assert.equal(end.code, 'LOAD_BROKEN_OFF');
          assert.match(end.error ?? '', text);
          assert.ok(events.filter(({ what }) => what === 'sent').length < 5);
        });
      }

      it('are counted when the sequence goes on', async () => {
        await Promise.all([start('done-continue'), start('log-later')]);
        for (const name of ['done-continue', 'log-later']) {
          const { end, events } = await untilEnded(name);
          assert.equal(end.what, 'over', name);
          assert.equal(end.failedBatches, 1, name);
          assert.equal(events.filter(({ what }) => what === 'sent').length, 5);
        }
      });
    });

    describe('a batch of which nothing more is heard', () => {
      for (const [name, text] of [
        ['never', /Batch 0 has been at test-stage "black hole" \(never-stage\) for 0.4 s/],
        ['throw-stuck', /Batch 1 has been at test-stage "thrower" \(throw-stuck-stage\) for 0.5 s/],
        ['call-stuck', /Batch 0 has been at link call "far away" \(call-stuck-node\) for 0.5 s/],
        ['join-stuck', /Batch 0 has been at join join-stuck-node for 0.5 s/],
      ] as const) {
        it(`breaks the sequence off and its node is named: ${name}`, async () => {
          await start(name);
          const { end } = await untilEnded(name);
          assert.equal(end.what, 'broken-off');
          assert.match(end.error ?? '', text);
        });
      }
    });

    describe('a node that gathers', () => {
      it('hears from the sender that the sequence is over, although the last batch was dropped', async () => {
        await start('gather');
        const events = await untilSeen('gather', ({ what }) => what === 'gathered');
        assert.deepEqual(received(events, 'gather-node'), [0, 1, 2, 3]);
        assert.ok(
          events.every(
            ({ node, what, state }) => node !== 'gather-node' || what !== 'received' || state === 'open',
          ),
        );
        assert.equal(events.find(({ what }) => what === 'gathered')?.state, 'over');
      });

      it('hears that it was broken off', async () => {
        await start('gather-broken');
        const events = await untilSeen('gather-broken', ({ what }) => what === 'gathered');
        assert.equal(events.find(({ what }) => what === 'gathered')?.state, 'broken-off');
      });
    });

    describe('a partial deploy in the middle', () => {
      const changed = (id: string, change: object = { name: 'changed' }) =>
        FLOWS.map((node) => (node.id === id ? { ...node, ...change } : node));

      async function deployChanged(id: string, type: 'nodes' | 'flows' = 'nodes'): Promise<void> {
        await nodeRed.deploy(changed(id), { type });
      }

      it('of a node that the batches pass breaks off', async () => {
        await start('deploy-passed');
        await untilSeen(
          'deploy-passed',
          ({ node, what }) => node === 'deploy-passed-hold' && what === 'received',
          3,
        );
        await deployChanged('deploy-passed-middle');
        const { end } = await untilEnded('deploy-passed');
        assert.equal(end.what, 'broken-off');
        assert.match(end.error ?? '', /deploy-passed-middle is being stopped or deployed anew/);
      });

      it('of a core node that holds batches breaks off before it drops them', async () => {
        await start('deploy-holding');
        await untilSeen('deploy-holding', ({ what }) => what === 'sent', 3);
        await deployChanged('deploy-holding-delay');
        const { end } = await untilEnded('deploy-holding');
        assert.equal(end.what, 'broken-off');
        assert.match(end.error ?? '', /deploy-holding-delay is being stopped or deployed anew/);
      });

      it('of a node inside a subflow breaks off', async () => {
        await start('deploy-subflow');
        await untilSeen(
          'deploy-subflow',
          ({ node, what }) => node === 'deploy-subflow-hold' && what === 'received',
          3,
        );
        await deployChanged('sub-stage');
        const { end } = await untilEnded('deploy-subflow');
        assert.equal(end.what, 'broken-off');
      });

      it('of the sender breaks off', async () => {
        await start('deploy-sender');
        await untilSeen('deploy-sender', ({ what }) => what === 'received', 3);
        await deployChanged('deploy-sender-source');
        const { end } = await untilEnded('deploy-sender');
        assert.equal(end.what, 'broken-off');
        assert.match(end.error ?? '', /deploy-sender-source is being stopped or deployed anew/);
      });

      it('of a debug node, or of a node beside the path, does not disturb', async () => {
        await start('deploy-beside');
        await untilSeen('deploy-beside', ({ what }) => what === 'received', 3);
        await deployChanged('deploy-beside-debug');
        await deployChanged('deploy-beside-other');
        await releaseAll('deploy-beside-hold', 3);
        const { end } = await untilEnded('deploy-beside');
        assert.equal(end.what, 'over');
      });
    });

    describe('afterwards', () => {
      it('watches messages only while a sequence is open', async () => {
        const hooks = () => nodeRed.request<string[]>('GET', 'test-sequence/hooks');
        await nodeRed.waitFor(async () => (await hooks()).length === 0, 'the hooks are gone');
        await start('window');
        await untilSeen('window', ({ what }) => what === 'received', 9);
        assert.deepEqual(await hooks(), ['preDeliver', 'onReceive', 'onComplete']);
        await releaseAll('window-hold', 6);
        await nodeRed.waitFor(async () => (await hooks()).length === 0, 'the hooks are gone again');
      });

      it('left nothing in the log that it should not', () => {
        const unexpected = nodeRed.logs.filter((line) =>
          /counted wrong|Uncaught|Unhandled|TypeError/i.test(line),
        );
        assert.deepEqual(unexpected, []);
      });
    });
  });
}
