import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KeySet } from '../../src/load/key-set.ts';

describe('KeySet', () => {
  it('counts every key once, whatever their number', () => {
    const keys = new KeySet();
    for (let pass = 0; pass < 2; pass += 1) {
      for (let n = 0; n < 20_000; n += 1) keys.add(`750ak000000ABCDAA1-${n}-1`);
    }
    assert.equal(keys.size, 20_000);
  });

  it('counts as a set does', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3 })), (added) => {
        const keys = new KeySet();
        for (const key of added) keys.add(key);
        assert.equal(keys.size, new Set(added).size);
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});
