import assert from 'node:assert/strict';
import { RateMeter } from '../../../nodes/shared/rate-meter.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('a rate meter', () => {
  it('counts before it knows a rate', () => {
    const meter = new RateMeter(new FakeClock());
    meter.add(5_000);
    assert.equal(meter.text(), '5,000 rows');
  });

  it('tells the rate of the last ten seconds, not of the whole load', async () => {
    const clock = new FakeClock();
    const meter = new RateMeter(clock, 'records');
    for (let second = 0; second < 60; second += 1) {
      await clock.advance(1_000);
      meter.add(second < 30 ? 10_000 : 200);
    }
    assert.equal(meter.text(), '306,000 records, 200/s');
  });

  it('tells the whole time while that is short', async () => {
    const clock = new FakeClock();
    const meter = new RateMeter(clock);
    await clock.advance(2_000);
    meter.add(4_200);
    await clock.advance(1_000);
    meter.add(4_200);
    assert.equal(Math.round(meter.perSecond), 2_800);
  });

  it('falls to nothing when nothing comes', async () => {
    const clock = new FakeClock();
    const meter = new RateMeter(clock);
    await clock.advance(1_000);
    meter.add(1_000);
    await clock.advance(60_000);
    assert.equal(meter.text(), '1,000 rows');
  });

  it('is right however often it is told', async () => {
    const clock = new FakeClock();
    const meter = new RateMeter(clock);
    for (let time = 0; time < 2_000; time += 1) {
      await clock.advance(10);
      meter.add(1);
    }
    assert.equal(meter.total, 2_000);
    assert.ok(Math.abs(meter.perSecond - 100) < 6, `${meter.perSecond}`);
  });
});
