import assert from 'node:assert/strict';
import { isLoadError } from '../src/errors.ts';
import { orAborted, withGrace, within } from '../src/time-limit.ts';
import { FakeClock } from './support/fake-clock.ts';

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('time limits', () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
  });

  it('abort work that takes longer, and leave no timer behind work that does not', async () => {
    assert.equal(await within(clock, 1000, async () => 7), 7);
    await clock.advance(0);
    assert.equal(clock.sleeping, 0);
    const late = assert.rejects(within(clock, 1000, untilAborted), (error) =>
      isLoadError(error, 'SF_REQUEST_FAILED'),
    );
    await clock.advance(1000);
    await late;
  });

  it('give work its grace after the signal', async () => {
    for (const isAbortedBefore of [true, false]) {
      const stop = new AbortController();
      const reason = new Error('redeployed');
      if (isAbortedBefore) stop.abort(reason);
      let failed: unknown;
      const work = withGrace(clock, stop.signal, 4000, untilAborted).catch((error) => {
        failed = error;
      });
      if (!isAbortedBefore) await clock.advance(60_000);
      stop.abort(reason);
      await clock.advance(3999);
      assert.equal(failed, undefined);
      await clock.advance(1);
      await work;
      assert.equal(failed, reason);
    }
    assert.equal(await withGrace(clock, AbortSignal.abort(), 4000, async () => 7), 7);
    await clock.advance(0);
    assert.equal(clock.sleeping, 0);
  });

  it('leave work to itself when the signal comes first', async () => {
    const stop = new AbortController();
    const never = orAborted(stop.signal, new Promise(() => {}));
    stop.abort(new Error('enough'));
    await assert.rejects(never, /enough/);
    await assert.rejects(orAborted(stop.signal, Promise.reject(new Error('other'))), /enough/);
    assert.equal(await orAborted(new AbortController().signal, Promise.resolve(7)), 7);
    await assert.rejects(
      orAborted(new AbortController().signal, Promise.reject(new Error('its own'))),
      /its own/,
    );
  });
});
