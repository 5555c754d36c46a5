import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { systemClock } from '../src/clock.ts';

const DAY_MS = 86_400_000;

describe('the clock of the machine', () => {
  it('sleeps for longer than one timer of the machine can', async () => {
    const set: number[] = [];
    const { setTimeout } = globalThis;
    mock.method(globalThis, 'setTimeout', (wake: () => void, ms: number) => {
      set.push(ms);
      return setTimeout(wake, 0);
    });
    try {
      await systemClock.sleep(60 * DAY_MS);
    } finally {
      mock.restoreAll();
    }
    assert.ok(
      set.every((ms) => ms < 2 ** 31),
      `timers of ${set}`,
    );
    assert.equal(
      set.reduce((sum, ms) => sum + ms, 0),
      60 * DAY_MS,
    );
  });

  it('is woken from a sleep that never ends', async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(Number.POSITIVE_INFINITY, stop.signal);
    stop.abort(new Error('enough'));
    await assert.rejects(sleeping, /enough/);
    await assert.rejects(systemClock.sleep(1, stop.signal), /enough/);
  });
});
