import assert from 'node:assert/strict';
import sfFailureClassify from '../../nodes/sf-failure-classify.ts';
import type { BatchParts } from '../../nodes/shared/batches.ts';
import type { Message } from '../../nodes/shared/red.ts';
import { LoadError } from '../../src/errors.ts';
import type { Failure } from '../../src/failure.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

const LOCK = 'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--';

let rows = 0;
function aRow(sf__Error: string, columns: object = {}): object {
  rows += 1;
  return { sf__Id: '', sf__Error, sf__Key: `750ak0000000001AAA-${rows}`, LastName: 'Miller', ...columns };
}

describe('sf-failure-classify', () => {
  nodeHelper.use();

  function load(change: object = {}): Promise<Bench> {
    const node = { id: 'n', type: 'sf-failure-classify', ruleSet: 'complete', rules: [], ...change };
    return Bench.load({
      modules: [sfFailureClassify],
      nodes: [{ ...node, wires: [['again?'], ['never?']] }],
    });
  }

  async function classified(bench: Bench, ...payloads: object[][]): Promise<void> {
    for (const payload of payloads) assert.equal(await handled(bench.node('n'), { payload }), undefined);
    await until(() => bench.at('never?').length === payloads.length, 'all are through');
  }

  const failures = (messages: Message[]) => messages.flatMap(({ payload }) => payload as Failure[]);

  it('warns once of each code that no rule knows, however many batches have it', async () => {
    const bench = await load();
    const batch = [
      aRow('BRAND_NEW_CODE:x:--'),
      aRow('BRAND_NEW_CODE:y:--'),
      aRow('ANOTHER_NEW_CODE:z:--'),
      aRow(LOCK),
    ];
    await classified(bench, batch, batch, batch);
    const of = (code: string) => bench.warnings('n').filter((text) => text.includes(` ${code};`)).length;
    assert.deepEqual([of('BRAND_NEW_CODE'), of('ANOTHER_NEW_CODE'), bench.warnings('n').length], [1, 1, 2]);
    const unknown = failures(bench.at('never?'));
    assert.equal(unknown.length, 9);
    assert.ok(unknown.every(({ errorCategory, retryable }) => errorCategory === 'OTHER' && !retryable));
    assert.equal(failures(bench.at('again?')).length, 3);
  });

  it('asks the own rules first, and does not warn of what they know', async () => {
    const rule = { match: 'code', value: 'BRAND_NEW_CODE', category: 'LOCK', retryable: true };
    const bench = await load({ rules: [rule] });
    await classified(bench, [aRow('BRAND_NEW_CODE:x:--')]);
    const [failure] = failures(bench.at('again?'));
    assert.deepEqual([failure?.errorCategory, failure?.rule], ['LOCK', 'own rule 1']);
    assert.deepEqual(bench.warnings('n'), []);
  });

  it('closes both outputs of a sequence, and passes a batch of none on', async () => {
    const bench = await load();
    await classified(bench, [aRow(LOCK)], []);
    for (const output of ['again?', 'never?']) {
      assert.equal(bench.at(output).length, 2);
      for (const { parts } of bench.at(output)) assert.equal((parts as { count?: number }).count, 1);
    }
  });

  it('judges a thousand rows by a catastrophic pattern in bounded time', async () => {
    const rule = { match: 'regex', value: '(a+)+$', category: 'OTHER', retryable: false };
    const bench = await load({ rules: [rule] });
    const batch = Array.from({ length: 1000 }, (_, n) => aRow(`CODE:${n}${'a'.repeat(4000)}!:--`));
    const begun = performance.now();
    await classified(bench, batch);
    assert.ok(performance.now() - begun < 10_000);
  });

  for (const value of ['(?=a)b', '(', '(a)\\1']) {
    it(`names the rule whose pattern ${value} cannot be used`, async () => {
      const rules = [
        { match: 'code', value: 'X', category: 'OTHER', retryable: false },
        { match: 'regex', value, category: 'OTHER', retryable: false },
      ];
      const bench = await load({ rules });
      const error = await handled(bench.node('n'), { payload: [aRow(LOCK)] });
      assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
      assert.match(error.message, /rule 2/);
    });
  }

  it('forgets the sequences it has begun when a message has reset: what comes then begins others', async () => {
    const bench = await load();
    const batch = (index: number, more: object = {}) => ({
      payload: [aRow(LOCK)],
      parts: { id: 'one', index, ...more },
    });
    assert.equal(await handled(bench.node('n'), batch(0)), undefined);
    assert.equal(await handled(bench.node('n'), { payload: Date.now(), reset: true }), undefined);
    assert.equal(await handled(bench.node('n'), batch(0, { count: 1 })), undefined);
    await until(() => bench.at('again?').length === 2, 'both batches are through');
    const [before, after] = bench.at('again?').map(({ parts }) => parts as BatchParts);
    assert.deepEqual([before?.index, before?.count, after?.index, after?.count], [0, undefined, 0, 1]);
    assert.notEqual(before?.id, after?.id);
  });

  it('drops no batch of a tracked sequence that carries reset along', async () => {
    const bench = await load();
    const message = { payload: [aRow(LOCK)], reset: true, _sequence: { id: 's', index: 0, openedAt: 1 } };
    assert.equal(await handled(bench.node('n'), message), undefined);
    await until(() => bench.at('again?').length === 1, 'the batch is through');
  });
});
