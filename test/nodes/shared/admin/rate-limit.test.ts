import assert from 'node:assert/strict';
import { RateLimit } from '../../../../nodes/shared/admin/rate-limit.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

describe('RateLimit', () => {
  const bounds = { calls: 3, perMs: 1000, atOnce: 2 };

  it('admits so many calls in a window, and more when the window has moved on', async () => {
    const clock = new FakeClock();
    const limit = new RateLimit(bounds, clock);
    for (let call = 0; call < 3; call += 1) limit.begin('a')?.();
    assert.equal(limit.begin('a'), undefined);
    await clock.advance(999);
    assert.equal(limit.begin('a'), undefined);
    await clock.advance(1);
    assert.ok(limit.begin('a'));
  });

  it('admits so many calls at the same time', () => {
    const limit = new RateLimit(bounds, new FakeClock());
    const endFirst = limit.begin('a');
    limit.begin('a');
    assert.equal(limit.begin('a'), undefined);
    endFirst?.();
    assert.ok(limit.begin('a'));
  });

  it('counts each key apart', () => {
    const limit = new RateLimit(bounds, new FakeClock());
    limit.begin('a');
    limit.begin('a');
    assert.ok(limit.begin('b'));
  });
});
