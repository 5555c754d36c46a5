import assert from 'node:assert/strict';
import type { Fault, JobFault } from '../../sandbox/org/org.ts';
import type { Receipt } from '../../src/receipt.ts';
import { CLOSE, CREATE, POLL, UPLOAD } from '../chaos/fault-rows.ts';
import { Person } from '../chaos/kill-person.ts';
import { keysOf } from '../chaos/kill-run.ts';
import { verdict } from '../chaos/kill-verdict.ts';
import { World } from '../chaos/kill-world.ts';
import type { FlowNode, NodeRed } from '../support/node-red.ts';
import { until } from '../support/until.ts';

const ROWS = 1500;
const ROWS_PER_JOB = 500;
const SESSION_EXPIRED = [{ errorCode: 'INVALID_SESSION_ID', message: 'Session expired or invalid' }];

interface FaultRow {
  fault: string;
  requests?: Fault[];
  jobs?: JobFault[];
  /** Rows that the first pass leaves READY, and its receipt calls unprocessed. */
  unprocessed?: number;
}

/** A choice of what test/chaos/faults.test.ts holds the classes behind the nodes to. */
const FAULTS: FaultRow[] = [
  { fault: 'a job that fails half-way', jobs: [{ kind: 'fail-half', afterRecords: 400 }], unprocessed: 100 },
  {
    fault: 'a job that somebody aborts',
    jobs: [{ kind: 'abort', afterRecords: 200, nth: 2 }],
    unprocessed: 300,
  },
  {
    fault: 'results that are cut',
    requests: [
      { method: 'GET', path: /successfulResults$/, kind: 'cut', bytes: 9000, times: 1 },
      { method: 'GET', path: /failedResults$/, kind: 'end-early', bytes: 300, times: 1 },
    ],
  },
  {
    fault: 'a session that ends half-way in an upload',
    requests: [{ ...UPLOAD, kind: 'status', status: 401, body: SESSION_EXPIRED, bytes: 8000, nth: 2 }],
  },
  {
    fault: 'a close whose answer is lost, processed or not',
    requests: [
      { ...CLOSE, kind: 'drop-after', nth: 1 },
      { ...CLOSE, kind: 'drop-before', nth: 2 },
    ],
  },
  {
    fault: 'a create whose answer is lost, and polls that are answered with HTML',
    requests: [
      { ...CREATE, kind: 'drop-after', nth: 2 },
      { ...POLL, kind: 'status', status: 500, body: '<html>Down</html>', times: 3 },
    ],
  },
];

describe('a load in Node-RED that meets faults', () => {
  let world: World;
  let nodeRed: NodeRed;

  before(async () => {
    world = await World.open({
      flow: { maxRecordsPerJob: ROWS_PER_JOB, batchSize: 250, resultBatchSize: 200 },
    });
    nodeRed = await world.start('one');
  });
  after(() => world.close());

  const receipts = (name: string) =>
    nodeRed.debug.filter((message) => message.name === name).map(({ value }) => value as Receipt);

  for (const { fault, requests = [], jobs = [], unprocessed = 0 } of FAULTS) {
    it(`${fault}: every row comes to its end, once, and the receipts add up`, async () => {
      const keys = keysOf(fault.replaceAll(' ', '-'), ROWS);
      await world.seed(keys);
      for (const one of requests) world.org.faults.add(one);
      for (const one of jobs) world.org.jobFaults.add(one);
      const runsBefore = receipts('run-receipt').length;
      const person = new Person(world, 30_000);
      await person.trigger(nodeRed);
      const { ready } = await person.untilSettled();
      assert.deepEqual(person.errors, {}, person.told.join('\n'));
      assert.equal(ready, unprocessed);
      await nodeRed.waitFor(() => receipts('run-receipt').length > runsBefore, 'the run has its receipt');
      const receipt = receipts('run-receipt')[runsBefore];
      assert.deepEqual(
        [receipt?.uploaded, receipt?.unprocessed, receipt?.complete],
        [ROWS, unprocessed, unprocessed === 0],
      );
      assert.ok(
        world.org.faults.list().every(({ struck }) => struck > 0),
        'every fault has struck',
      );

      await person.untilDone(nodeRed);
      const { violations } = await verdict(world, { keys, paused: false });
      assert.deepEqual(violations, [], person.told.join('\n'));
      assert.deepEqual(person.errors, {});
      // The ledger knows of a run's end before its receipt is in the sidebar: the next test counts from here.
      const runs = unprocessed > 0 ? 2 : 1;
      await nodeRed.waitFor(
        () => receipts('run-receipt').length === runsBefore + runs,
        'every run has its receipt',
      );
    });
  }

  it('shows the API calls of a load in the status of its create node', async () => {
    await world.seed(keysOf('status', 100));
    const person = new Person(world, 30_000);
    const runsBefore = receipts('run-receipt').length;
    await person.trigger(nodeRed);
    await person.untilDone(nodeRed);
    await nodeRed.waitFor(() => receipts('run-receipt').length > runsBefore, 'the run has its receipt');
    const { apiCalls } = receipts('run-receipt')[runsBefore] ?? {};
    await nodeRed.waitForStatus(
      'create',
      ({ text }) => text === `99 loaded, 1 failed, ${apiCalls} API calls`,
    );
  });

  describe('with rows that no tracked sender sends', () => {
    const split = (payload: unknown[], wires: string[][]): FlowNode[] => [
      {
        id: 'array',
        z: 'tab',
        type: 'inject',
        props: [{ p: 'payload', v: JSON.stringify(payload), vt: 'json' }],
        wires: [['split']],
      },
      { id: 'split', z: 'tab', type: 'split', splt: '\\n', arraySplt: 2, arraySpltType: 'len', wires },
    ];

    it('stops at once when its create node is deployed while Salesforce is away, and goes on afterwards', async () => {
      await world.seed([]);
      const hang = world.org.faults.add({ ...UPLOAD, kind: 'hang' });
      const flows = await nodeRed.flows();
      const rows = Array.from({ length: 4 }, (_, index) => ({ Name: 'x', Key__c: `split-${index}` }));
      await nodeRed.deploy([...flows, ...split(rows, [['create']])], { type: 'nodes' });
      await nodeRed.inject('array');
      await until(() => world.org.faults.struck(hang) > 0, 'the upload is under way');
      const changed = (await nodeRed.flows()).map((node) =>
        node.id === 'create' ? { ...node, name: 'renamed' } : node,
      );
      const began = performance.now();
      await nodeRed.deploy(changed, { type: 'nodes' });
      const took = performance.now() - began;
      assert.ok(took < 6000, `the deploy took ${Math.round(took)} ms`);
      world.org.faults.clear();
      const receiptsBefore = receipts('run-receipt').length;
      await nodeRed.inject('array');
      await nodeRed.waitFor(() => receipts('run-receipt').length > receiptsBefore, 'the rows are loaded');
      const { inserts, repeatedCount } = world.org.audit.insertsPerKey('Load_Test__c', 'Key__c');
      assert.deepEqual([inserts, repeatedCount], [4, 0]);
    });

    it('breaks off, and does not hang, when one message of a split has nothing that could be loaded', async () => {
      await world.seed([]);
      const heard = nodeRed.debug.filter(({ name }) => name === 'errors').length;
      const receiptsBefore = receipts('run-receipt').length;
      const spoil: FlowNode = {
        id: 'spoil',
        z: 'tab',
        type: 'function',
        func: 'if (msg.parts.index === 1) msg.payload = 7; return msg;',
        outputs: 1,
        wires: [['create']],
      };
      const rest = (await nodeRed.flows()).filter(({ id }) => id !== 'array' && id !== 'split');
      const rows = Array.from({ length: 6 }, (_, index) => ({ Name: 'x', Key__c: `spoilt-${index}` }));
      await nodeRed.deploy([...rest, spoil, ...split(rows, [['spoil']])], { type: 'nodes' });
      await nodeRed.inject('array');
      await nodeRed.waitFor(() => receipts('run-receipt').length > receiptsBefore, 'the run has ended');
      const { received, complete } = receipts('run-receipt')[receiptsBefore] ?? {};
      assert.deepEqual([received, complete], [0, false]);
      const errors = nodeRed.debug.filter(({ name }) => name === 'errors').slice(heard);
      assert.ok(errors.length > 0);
      for (const { value } of errors)
        assert.match(JSON.stringify(value), /RECORD_INVALID.*must be an array of records/);
      assert.equal([...world.org.records('Load_Test__c')].length, 0);
    });
  });
});
