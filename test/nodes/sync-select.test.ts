import assert from 'node:assert/strict';
import syncSelect from '../../nodes/sync-select.ts';
import { handled, nodeHelper, observe } from '../support/node-helper.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';
import { failing } from './support/failing.ts';

describe('sync-select', () => {
  nodeHelper.use();
  let where: TestDatabase;

  before(async () => {
    where = await testDatabase();
  });

  const load = (fails: readonly number[]): Promise<Bench> =>
    Bench.load({
      database: where,
      modules: [syncSelect, failing(fails)],
      nodes: [
        {
          id: 'n',
          type: 'sync-select',
          database: 'db',
          sql: 'SELECT n FROM generate_series(1, 50) AS n',
          batchSize: 10,
          maxInFlight: 4,
          onError: 'continue',
          wires: [['failing']],
        },
        { id: 'failing', type: 'failing', wires: [['out?']] },
      ],
    });

  async function said(fails: readonly number[]) {
    const bench = await load(fails);
    const { statuses } = observe(bench.node('n'));
    assert.equal(await handled(bench.node('n'), { payload: 1 }), undefined);
    await until(() => statuses.at(-1)?.fill === 'green', 'it shows its end');
    assert.equal(bench.at('out?').length, 5 - fails.length);
    return { warnings: bench.warnings('n'), status: statuses.at(-1)?.text };
  }

  describe('that goes on after errors', () => {
    it('counts the batches that failed, in one warning and in its status', async () => {
      const { warnings, status } = await said([1, 3]);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /^For 2 batches nodes behind this one reported errors/);
      assert.match(status ?? '', /^50 rows.*, 2 batches with errors$/);
    });

    it('says so of one, too', async () => {
      const { warnings, status } = await said([0]);
      assert.match(warnings[0] ?? '', /^For 1 batch a node behind this one reported an error/);
      assert.match(status ?? '', /, 1 batch with an error$/);
    });

    it('says nothing of none', async () => {
      const { warnings, status } = await said([]);
      assert.deepEqual(warnings, []);
      assert.doesNotMatch(status ?? '', /error/);
    });
  });
});
