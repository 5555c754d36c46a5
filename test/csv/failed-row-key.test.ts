import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FailedRowKeys } from '../../src/csv/failed-row-key.ts';
import { awkwardText, CASES } from './samples.ts';

const COLUMNS = ['sf__Id', 'sf__Error', 'Name', 'Ext__c'];

function row(error: string, name: string, ext: string, id = ''): Record<string, string> {
  return { sf__Id: id, sf__Error: error, Name: name, Ext__c: ext };
}

function keysOf(rows: Record<string, string>[], columns = COLUMNS): string[] {
  const keys = new FailedRowKeys('750A', columns);
  return rows.map((each) => keys.keyOf(each));
}

describe('keys of failed rows', () => {
  it('are job id, hash and occurrence', () => {
    const [a, b, c] = keysOf([row('E', 'x', '1'), row('E', 'x', '1'), row('E', 'y', '1')]);
    assert.match(a ?? '', /^750A-[0-9a-f]{32}-1$/);
    assert.equal(b, a?.replace(/-1$/, '-2'));
    assert.match(c ?? '', /-1$/);
    assert.notEqual(a, c);
  });

  it('do not change from one version to the next', () => {
    assert.deepEqual(keysOf([row('E:m:--', 'Ann', 'A-1')]), ['750A-1bccda2af8be7c4df811f7f0e58dbfa0-1']);
  });

  it('cover the error and the columns, each by its name, and not sf__Id', () => {
    const hashes = [
      row('E', 'x', '1'),
      row('F', 'x', '1'),
      row('E', '1', 'x'),
      row('E', 'x1', ''),
      row('E', '', 'x1'),
      row('Ex', '', '1'),
    ].map((each) => keysOf([each])[0]);
    assert.equal(new Set(hashes).size, hashes.length);
    assert.deepEqual(keysOf([row('E', 'x', '1', '003')]), keysOf([row('E', 'x', '1')]));
  });

  it('are the same whatever the order of rows and columns', () => {
    const rows = fc.array(
      fc.record({
        sf__Id: fc.constant(''),
        sf__Error: fc.constantFrom('E:a:--', 'E:b:--'),
        Name: fc.oneof(fc.constantFrom('x', 'y'), awkwardText),
        Ext__c: fc.constantFrom('1', '2'),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(rows, fc.infiniteStream(fc.nat()), (given, order) => {
        const shuffled = given
          .map((each) => ({ each, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ each }) => Object.fromEntries(Object.entries(each).reverse()));
        const keys = keysOf(given);
        assert.deepEqual(keysOf(shuffled, [...COLUMNS].reverse()).sort(), [...keys].sort());
        assert.equal(new Set(keys).size, given.length);
      }),
      CASES,
    );
  });

  it('take the columns of the first row when they are not told', () => {
    const keys = new FailedRowKeys('750A');
    assert.equal(keys.keyOf({ ...row('E', 'x', '1'), sf__Key: 'older' }), keysOf([row('E', 'x', '1')])[0]);
  });

  it('count exactly among hundreds of thousands of rows', () => {
    const keys = new FailedRowKeys('750A', COLUMNS);
    const seen = new Set<string>();
    for (let time = 1; time <= 3; time += 1)
      assert.ok(keys.keyOf(row('E', 'thrice', '')).endsWith(`-${time}`));
    for (let round = 1; round <= 2; round += 1) {
      for (let index = 0; index < 100_000; index += 1) {
        const key = keys.keyOf(row('E', 'x', String(index)));
        assert.ok(key.endsWith(`-${round}`));
        seen.add(key);
      }
    }
    assert.equal(seen.size, 200_000);
    assert.ok(keys.keyOf(row('E', 'thrice', '')).endsWith('-4'));
  });
});
