import assert from 'node:assert/strict';
import sfSingleRetry from '../../nodes/sf-single-retry.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

/** Of `sf-bulk-create` and `sf-failure-classify` their own tests tell. */
describe('msg.reset to sf-single-retry', () => {
  nodeHelper.use();
  let org: Org;
  before(async () => {
    org = await startOrg();
  });
  after(() => org.close());

  it('lets it forget the sequences that it has begun', async () => {
    const node = { id: 'n', type: 'sf-single-retry', connection: 'sf', wires: [['healed?'], ['failed?']] };
    const bench = await Bench.load({ org, ledger: '', modules: [sfSingleRetry], nodes: [node] });
    const batch = (index: number, more: object = {}) =>
      handled(bench.node('n'), { payload: [], parts: { id: 'one', index, ...more } });
    assert.equal(await batch(0), undefined);
    const withRecords = await handled(bench.node('n'), { payload: [{ key: 'k' }], reset: true });
    assert.match(String(withRecords), /msg\.reset in a message of its own/);
    assert.equal(await handled(bench.node('n'), { payload: Date.now(), reset: true }), undefined);
    assert.equal(await batch(1, { count: 2 }), undefined);
    assert.equal(await handled(bench.node('n'), { payload: [] }), undefined);
    await until(() => bench.at('failed?').length > 0, 'a batch that is alone is through');
    assert.equal(bench.at('failed?').length, 1, 'the sequence has one batch since, of two');
  });
});
