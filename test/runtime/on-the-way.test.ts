import assert from 'node:assert/strict';
import type { Receipt } from '../../src/receipt.ts';
import { CREDENTIALS, loadFlow } from '../chaos/kill-flow.ts';
import { Person } from '../chaos/kill-person.ts';
import { World } from '../chaos/kill-world.ts';
import type { FlowNode, NodeRed } from '../support/node-red.ts';

const ROWS = 4000;
const OPTIONS = { maxRecordsPerJob: 50_000, batchSize: 200 };
const LOAD_MS = 20_000;

const SPLIT: FlowNode = {
  id: 'split',
  type: 'split',
  splt: '\\n',
  spltType: 'str',
  arraySplt: 50,
  arraySpltType: 'len',
};
const BATCH: FlowNode = {
  id: 'batch',
  type: 'batch',
  mode: 'count',
  count: '2',
  overlap: '0',
  interval: '10',
  allowEmptySequence: false,
  topics: [],
};
const DELAY: FlowNode = {
  id: 'delay',
  type: 'delay',
  pauseType: 'delay',
  timeout: '300',
  timeoutUnits: 'milliseconds',
  rate: '1',
  nbRateUnits: '1',
  rateUnits: 'second',
};
const READY_ROWS_AS_CSV = `
  SELECT 'Row ' || id AS "Name", key AS "Key__c" FROM source WHERE status = 'READY' ORDER BY id`;

describe('core nodes between select and create', () => {
  let world: World;
  let nodeRed: NodeRed;

  before(async () => {
    world = await World.open({ flow: OPTIONS });
    nodeRed = await world.start('one');
  });
  after(() => world.close());

  async function checkLoad(flows: FlowNode[]): Promise<void> {
    await world.seed(Array.from({ length: ROWS }, (_, index) => `row-${index}`));
    await nodeRed.deploy(flows, { credentials: CREDENTIALS });
    const person = new Person(world, LOAD_MS);
    await person.trigger(nodeRed);
    await person.untilSettled();
    assert.deepEqual(person.told, []);
    const runs = await world.query<{ receipt: Receipt }>('SELECT receipt FROM sf_sync_run');
    const seen = runs.map(({ receipt: { received, succeeded, complete } }) => ({
      received,
      succeeded,
      complete,
    }));
    assert.deepEqual(seen, [{ received: ROWS, succeeded: ROWS, complete: true }]);
  }

  for (const node of [SPLIT, BATCH]) {
    it(`${node.type}, which numbers groups of its own: one run takes them all`, () =>
      checkLoad(loadFlow({ ...OPTIONS, between: [{ after: 'select', node }] })));
  }

  it('delay, which a CSV file outlives', () => {
    const flows = loadFlow({ ...OPTIONS, between: [{ after: 'select', node: DELAY }] });
    const adapted = (node: FlowNode) => {
      if (node.id === 'select') return { ...node, lane: 'csv', sql: READY_ROWS_AS_CSV };
      return node.id === 'delay' ? { ...node, wires: [['create']] } : node;
    };
    return checkLoad(flows.map(adapted));
  });
});
