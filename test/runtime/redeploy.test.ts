import assert from 'node:assert/strict';
import { Person } from '../chaos/kill-person.ts';
import { REQUESTS, type RequestKind } from '../chaos/kill-plan.ts';
import { keysOf } from '../chaos/kill-run.ts';
import { verdict } from '../chaos/kill-verdict.ts';
import { World } from '../chaos/kill-world.ts';
import type { FlowNode, NodeRed } from '../support/node-red.ts';
import { until } from '../support/until.ts';

const ROWS = 6000;
/** How long the org holds back the answer in the middle of which the deploy comes. */
const HELD_MS = 300;

/** What the Catch node may hear of a deploy: what was broken off, and of a database node also that its connections are gone. */
const DEPLOYED = /^LOAD_BROKEN_OFF: .*(stopped|deployed anew)|^DB_UNAVAILABLE: .*connections .* were closed/;

/** Core nodes that gather, or hold, what is on its way. */
const GATHER: FlowNode = { id: 'gather', type: 'join', mode: 'auto' };
const delay = (id: string): FlowNode => ({
  id,
  type: 'delay',
  pauseType: 'delay',
  timeout: '60',
  timeoutUnits: 'milliseconds',
  outputs: 1,
});

describe('A deploy of one node in the middle of a load', () => {
  let world: World;
  let nodeRed: NodeRed;
  let deploys = 0;

  before(async () => {
    world = await World.open({
      flow: {
        maxRecordsPerJob: 1500,
        batchSize: 500,
        resultBatchSize: 500,
        between: [
          { after: 'fields', node: delay('slow-batches') },
          { after: 'create', node: delay('slow-jobs') },
          { after: 'results', node: delay('slow-successes') },
          { after: 'results', output: 1, node: GATHER },
          { after: 'gather', node: delay('slow-failures') },
        ],
      },
    });
    nodeRed = await world.start('one');
  });
  after(() => world.close());

  /** Deploys ("modified nodes") with another name for the node; returns how long that took, in milliseconds. */
  async function redeploy(id: string): Promise<number> {
    const flows = await nodeRed.flows();
    assert.ok(flows.some((node) => node.id === id));
    deploys += 1;
    const begunAt = performance.now();
    await nodeRed.deploy(
      flows.map((node) => (node.id === id ? { ...node, name: `deployed ${deploys}` } : node)),
      { type: 'nodes' },
    );
    return performance.now() - begunAt;
  }

  async function loadWithDeploy(id: string, request: RequestKind, nth: number): Promise<Person> {
    const keys = keysOf(`${id}-${request}`, ROWS);
    await world.seed(keys);
    const person = new Person(world, 40_000);
    const held = world.org.faults.add({ ...REQUESTS[request], nth, kind: 'delay', ms: HELD_MS });
    await person.trigger(nodeRed);
    await until(() => world.org.faults.struck(held) > 0, `${request} ${nth} is under way`);
    const took = await redeploy(id);
    assert.ok(took < 10_000, `the deploy took ${Math.round(took)} ms`);
    await person.untilDone(nodeRed);
    const { violations } = await verdict(world, { keys, paused: false });
    assert.deepEqual(violations, [], person.told.join('\n'));
    return person;
  }

  /** A node, and the request in the middle of which it is deployed. */
  type Deploy = [id: string, request: RequestKind, nth: number];

  /** Nodes before the create node, and itself: rows that are in no job yet stay READY for the next trigger. */
  const BEFORE: Deploy[] = [
    ['select', 'create', 1],
    ['fields', 'create', 1],
    ['slow-batches', 'create', 1],
    ['create', 'create', 1],
    ['create', 'upload', 2],
    ['create', 'close', 2],
    ['sf', 'upload', 2],
    ['db', 'upload', 2],
  ];

  /** Nodes behind it, and those that have nothing to do with it: nobody has to do anything. */
  const BEHIND: Deploy[] = [
    ['run-receipt', 'upload', 2],
    ['any-error', 'retry', 1],
    ['create', 'retry', 1],
    ['slow-jobs', 'upload', 3],
    ['poll', 'look', 2],
    ['results', 'results', 2],
    ['slow-successes', 'results', 4],
    ['gather', 'results', 4],
    ['slow-failures', 'retry', 2],
    ['classify', 'retry', 2],
    ['retry', 'retry', 1],
    ['letters', 'retry', 2],
    ['done', 'retry', 1],
    ['healed', 'retry', 2],
    ['failed', 'retry', 2],
    ['sf', 'retry', 1],
    ['db', 'retry', 1],
  ];

  const ENDS = [
    { deploys: BEFORE, how: 'at the next trigger', expected: 2 },
    { deploys: BEHIND, how: 'by itself', expected: 1 },
  ];
  for (const { deploys, how, expected } of ENDS) {
    for (const [id, request, nth] of deploys) {
      it(`of ${id}, with ${request} ${nth} under way, comes to the same end ${how}`, async () => {
        const { triggers, told } = await loadWithDeploy(id, request, nth);
        assert.equal(triggers, expected, told.join('\n'));
        assert.deepEqual(
          told.filter((text) => !DEPLOYED.test(text)),
          [],
        );
      });
    }
  }
});
