import assert from 'node:assert/strict';
import type { Receipt } from '../../src/receipt.ts';
import { keysOf } from '../chaos/kill-run.ts';
import { World } from '../chaos/kill-world.ts';
import type { NodeRed } from '../support/node-red.ts';

describe('A load without a ledger', () => {
  const ROWS = 3000;
  let world: World;
  let nodeRed: NodeRed;

  before(async () => {
    world = await World.open({
      flow: { ledger: false, maxRecordsPerJob: 1000, batchSize: 500 },
      org: { recordsPerSecond: 2000 },
    });
    nodeRed = await world.start('one');
  });
  after(() => world.close());

  async function ready(): Promise<number> {
    const [row] = await world.query<{ ready: number }>(
      "SELECT count(*)::int AS ready FROM source WHERE status = 'READY'",
    );
    return row?.ready ?? 0;
  }

  function receipts(): Receipt[] {
    return nodeRed.debug.filter(({ name }) => name === 'run-receipt').map(({ value }) => value as Receipt);
  }

  function errors(): { code: string; message: string }[] {
    return nodeRed.debug
      .filter(({ name }) => name === 'errors')
      .map(({ value }) => value as { code: string; message: string });
  }

  function insertedTwice(): number {
    return world.org.audit.insertsPerKey('Load_Test__c', 'Key__c').repeatedCount;
  }

  it('says in status and log what it cannot know, once for each start of the process', async () => {
    const says = /has no ledger.*look at the jobs in Salesforce.*before you start the load again/;
    await nodeRed.waitForLog(says);
    await nodeRed.waitForStatus('create', ({ text }) =>
      /no ledger: jobs from before a restart/.test(text ?? ''),
    );
    const flows = await nodeRed.flows();
    await nodeRed.deploy(flows, { type: 'full' });
    assert.equal(nodeRed.logs.filter((line) => says.test(line)).length, 1, 'a deploy is no restart');
    await world.kill('one');
    nodeRed = await world.start('one');
    await nodeRed.waitForLog(says);
  });

  it('runs once at a time in this process, and ends with a receipt', async () => {
    await world.seed(keysOf('none1', ROWS));
    await nodeRed.inject('go');
    await nodeRed.waitFor(() => (world.org.audit.jobsByState().InProgress ?? 0) > 0, 'a job is in progress');
    await nodeRed.inject('go');
    await nodeRed.waitFor(() => errors().length > 0, 'the second trigger is refused');
    assert.equal(errors()[0]?.code, 'LOAD_ALREADY_RUNNING');
    await nodeRed.waitFor(() => receipts().length > 0, 'the first has its receipt', 20_000);
    const [receipt] = receipts();
    const { received, uploaded, succeeded, retried, deadLettered, unaccounted, complete } =
      receipt as Receipt;
    assert.deepEqual(
      { received, uploaded, succeeded, retried, deadLettered, unaccounted, complete },
      {
        received: ROWS,
        uploaded: ROWS,
        succeeded: 2940,
        retried: 30,
        deadLettered: 30,
        unaccounted: 0,
        complete: true,
      },
    );
    assert.equal(await ready(), 0);
    assert.equal(insertedTwice(), 0);
  });

  it('is carried on after a redeploy of the create node', async () => {
    await world.seed(keysOf('none2', ROWS));
    const before = receipts().length;
    await nodeRed.inject('go');
    await nodeRed.waitFor(() => (world.org.audit.jobsByState().InProgress ?? 0) > 0, 'a job is in progress');
    const flows = await nodeRed.flows();
    const changed = flows.map((node) => (node.id === 'create' ? { ...node, name: 'changed' } : node));
    await nodeRed.deploy(changed, { type: 'nodes' });
    await nodeRed.waitFor(() => receipts().length > before, 'the run has its receipt', 20_000);
    if ((await ready()) > 0) {
      await nodeRed.inject('go');
      await nodeRed.waitFor(async () => (await ready()) === 0, 'the rest is loaded', 20_000);
    }
    assert.equal(insertedTwice(), 0);
    assert.equal(world.org.audit.rows('Load_Test__c'), ROWS * 0.99);
  });
});
