import assert from 'node:assert/strict';
import { IdWriter, idSuffix, makeId, normaliseId, serialOf } from '../../../sandbox/org/ids.ts';

describe('ids of the sandbox org', () => {
  it('give the suffix that real orgs gave', () => {
    for (const id of [
      '750ak000009BkrxAAC',
      '005ak000005hvjJAAQ',
      '003ak00000luKU1AAM',
      '001ak00000OQTieAAH',
    ]) {
      assert.equal(idSuffix(id.slice(0, 15)), id.slice(15));
      assert.equal(normaliseId(id.slice(0, 15)), id);
      assert.equal(normaliseId(id), id);
    }
  });

  it('refuse what is no id', () => {
    for (const text of [
      '',
      '750ak000009Bkr',
      '750ak000009BkrxAA',
      '750ak000009BkrxAAD',
      '750ak000009Bkr-',
      'x'.repeat(19),
    ]) {
      assert.equal(normaliseId(text), undefined, text);
    }
  });

  it('carry their serial number', () => {
    for (const serial of [0, 1, 61, 62, 3843, 3844, 999_999_999_999]) {
      assert.equal(serialOf(makeId('003', serial)), serial);
    }
    assert.equal(serialOf('003xx0000000001'), undefined);
  });

  it('are written as bytes in the same order as one by one, over every kind of carry', () => {
    for (const start of [1, 55, 3800, 62 ** 5 - 3, 62 ** 6 - 2]) {
      const writer = new IdWriter('00Q', start);
      const buffer = Buffer.alloc(18);
      for (let i = 0; i < 200; i++) {
        if (i % 3 === 2) {
          writer.skip();
          continue;
        }
        writer.write(buffer, 0);
        assert.equal(buffer.toString(), makeId('00Q', start + i));
      }
    }
  });
});
