import assert from 'node:assert/strict';
import sfBulkResults from '../../nodes/sf-bulk-results.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import type { SalesforceConnection } from '../../src/load/connection.ts';
import type { Receipt } from '../../src/receipt.ts';
import { connectTo, INSERT_LOAD_TEST, LoadUnderTest, loadTestRecords } from '../support/loads.ts';
import { handled, nodeHelper, observe } from '../support/node-helper.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';
import { failing } from './support/failing.ts';

const SUCCESSES = { method: 'GET', path: /\/successfulResults$/ } as const;

describe('sf-bulk-results', () => {
  nodeHelper.use();
  let org: Org;
  let where: TestDatabase;
  let connection: SalesforceConnection;

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
    where = await testDatabase();
    connection = connectTo(org);
  });
  after(async () => {
    await connection.close();
    await org.close();
  });

  /** Two results nodes, `n` and `other`; behind `n` a node that fails for some batches. */
  function load(fails: readonly number[] = [], lane = 'records'): Promise<Bench> {
    const results = {
      type: 'sf-bulk-results',
      connection: 'sf',
      batchSize: 10,
      maxInFlight: 4,
      onError: 'continue',
      lane,
    };
    return Bench.load({
      org,
      database: where,
      modules: [sfBulkResults, failing(fails)],
      nodes: [
        { ...results, id: 'n', wires: [['failing'], [], [], ['receipt?']] },
        { ...results, id: 'other', wires: [['other?'], [], [], ['receipt?']] },
        { id: 'failing', type: 'failing', wires: [['out?']] },
      ],
    });
  }

  /** A finished job, made by another tool: nobody here knows more of it than its id. */
  async function aJob(records: number, prefix?: string): Promise<string> {
    const under = new LoadUnderTest(connection);
    await under.loadAll(loadTestRecords(records, prefix), 100, INSERT_LOAD_TEST);
    const [job] = under.jobs;
    await under.settleAll();
    await under.load.close();
    return job?.id ?? '';
  }

  const receipts = (bench: Bench) => bench.at('receipt?').map(({ payload }) => payload as Receipt);

  it('that goes on after errors counts the batches that failed, in one warning and in its status', async () => {
    const bench = await load([0, 2]);
    const { statuses } = observe(bench.node('n'));
    assert.equal(await handled(bench.node('n'), { payload: await aJob(30) }), undefined);
    assert.match(bench.warnings('n')[0] ?? '', /^For 2 batches nodes behind this one reported errors/);
    await until(() => statuses.at(-1)?.fill === 'green', 'it shows its end');
    assert.equal(statuses.at(-1)?.text, '30 ok, 0 failed, 2 batches with errors');
  });

  for (const lane of ['records', 'csv']) {
    it(`counts the error codes of the receipt in lane ${lane}`, async () => {
      const bench = await load([], lane);
      assert.equal(await handled(bench.node('n'), { payload: await aJob(3, 'k-VALIDATION') }), undefined);
      await until(() => receipts(bench).length > 0, 'the job is settled');
      const [receipt] = receipts(bench);
      assert.equal(receipt?.failed, 3);
      assert.deepEqual(receipt?.byErrorCode, { FIELD_CUSTOM_VALIDATION_EXCEPTION: 3 });
    });
  }

  describe('given a job that is being read', () => {
    /** The first delivery goes on until the second is through. */
    async function deliveredTwice(to: 'n' | 'other') {
      const bench = await load();
      const payload = await aJob(10);
      const { statuses } = observe(bench.node(to));
      const reading = observe(bench.node('n')).statuses;
      org.faults.add({ ...SUCCESSES, kind: 'delay', ms: 700, times: 1 });
      const first = handled(bench.node('n'), { payload });
      await until(() => reading.some(({ text }) => text === `results of ${payload}`), 'the first is at it');
      assert.equal(await handled(bench.node(to), { payload }), undefined);
      assert.equal(receipts(bench).length, 0, 'the second did not wait for the first');
      assert.equal(await first, undefined);
      await until(() => receipts(bench).length === 1, 'the job has its receipt');
      assert.equal(bench.at('other?').length, 0);
      return { bench, payload, statuses };
    }

    it('by another node leaves it to that, and says so', async () => {
      const { bench, payload, statuses } = await deliveredTwice('other');
      const [warning, ...more] = bench.warnings('other');
      assert.deepEqual(more, []);
      assert.match(
        warning ?? '',
        new RegExp(`^Job ${payload} is being read by another node \\(sf-bulk-results n\\)`),
      );
      assert.ok(statuses.some(({ fill, text }) => fill === 'yellow' && text?.includes(payload)));
    });

    it('by itself says nothing: a job that was sent again met the first message', async () => {
      const { bench } = await deliveredTwice('n');
      assert.deepEqual(bench.warnings('n'), []);
    });
  });
});
