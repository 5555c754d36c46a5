import assert from 'node:assert/strict';
import type { Receipt } from '../../src/receipt.ts';
import { Person } from '../chaos/kill-person.ts';
import { verdict } from '../chaos/kill-verdict.ts';
import { World } from '../chaos/kill-world.ts';
import type { FlowNode, NodeRed } from '../support/node-red.ts';

const ROWS = 100_000;
/** A job of so many is one batch of Bulk API 2.0. */
const ROWS_PER_JOB = 10_000;
const MOST_MS = 90_000;
/** A job takes longer in the org than the upload of the next one. */
const RECORDS_PER_SECOND = 20_000;

/** Gives all records one parent, found by its external id. */
const PARENT: FlowNode = {
  id: 'parent',
  type: 'function',
  outputs: 1,
  func: `
    for (const record of msg.payload) record.Account__r = { External_Id__c: 'SHARED' };
    return msg;`,
};

interface Seen {
  jobs: number;
  mostRecords: number;
  mostInProgress: number;
  lockFailures: number;
  receipt: Receipt;
}

describe('A load of which all records have one parent', function () {
  this.timeout(MOST_MS);
  let world: World;
  let nodeRed: NodeRed;

  before(async () => {
    world = await World.open({
      flow: { maxRecordsPerJob: 0, batchSize: 5000, between: [{ after: 'fields', node: PARENT }] },
      org: { recordsPerSecond: RECORDS_PER_SECOND },
    });
    nodeRed = await world.start('one');
  });
  after(() => world.close());

  async function load(settings: { mode: string; maxRecordsPerJob: number }): Promise<Seen> {
    const keys = Array.from({ length: ROWS }, (_, index) => `${settings.mode}-${index}`);
    await world.seed(keys);
    world.org.insert('Account', { Name: 'Shared', External_Id__c: 'SHARED' });
    const flows = await nodeRed.flows();
    await nodeRed.deploy(
      flows.map((node) => (node.id === 'create' ? { ...node, ...settings } : node)),
      { type: 'nodes' },
    );
    const person = new Person(world, MOST_MS);
    await person.trigger(nodeRed);
    await person.untilSettled();
    assert.deepEqual(person.told, []);
    const { violations, jobs } = await verdict(world, { keys, paused: false });
    assert.deepEqual(violations, []);
    const [run] = await world.query<{ receipt: Receipt }>('SELECT receipt FROM sf_sync_run');
    const [job] = await world.query<{ most: number }>(
      "SELECT max((receipt ->> 'uploaded')::int) AS most FROM sf_sync_job",
    );
    assert.ok(run && job);
    return {
      jobs,
      mostRecords: job.most,
      mostInProgress: world.org.audit.mostJobsInProgress,
      lockFailures: run.receipt.byErrorCode.UNABLE_TO_LOCK_ROW ?? 0,
      receipt: run.receipt,
    };
  }

  it('has one job in progress at a time in serial mode, and no row fails for a lock', async () => {
    const { receipt, ...seen } = await load({ mode: 'serial', maxRecordsPerJob: 0 });
    assert.deepEqual(seen, {
      jobs: ROWS / ROWS_PER_JOB,
      mostRecords: ROWS_PER_JOB,
      mostInProgress: 1,
      lockFailures: 0,
    });
    assert.equal(receipt.succeeded, ROWS);
  });

  it('has jobs side by side in parallel mode, and rows that fail for a lock', async () => {
    const { receipt, ...seen } = await load({ mode: 'parallel', maxRecordsPerJob: ROWS_PER_JOB });
    assert.equal(seen.jobs, ROWS / ROWS_PER_JOB);
    assert.ok(seen.mostInProgress > 1, `${seen.mostInProgress} job in progress at a time`);
    assert.ok(seen.lockFailures > 0);
    assert.equal(receipt.failed, seen.lockFailures, 'nothing else fails');
    assert.equal(receipt.retried, seen.lockFailures, 'over REST they pass');
  });
});
