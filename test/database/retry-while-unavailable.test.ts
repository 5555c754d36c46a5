import assert from 'node:assert/strict';
import { DatabaseError } from '../../src/database/database-error.ts';
import { retryWhileUnavailable } from '../../src/database/retry-while-unavailable.ts';
import { FakeClock } from '../support/fake-clock.ts';

const away = () => new DatabaseError('DB_UNAVAILABLE', 'it is away', { sqlState: '57P03', retryable: true });

describe('retry while the database is unavailable', () => {
  it('goes on until it is back, with growing pauses of at most ten seconds', async () => {
    const clock = new FakeClock();
    let calls = 0;
    const result = await clock.runUntil(
      retryWhileUnavailable(
        async () => {
          calls += 1;
          if (calls < 12) throw away();
          return 'back';
        },
        { clock },
      ),
    );
    assert.equal(result, 'back');
    assert.equal(clock.slept.length, 11);
    clock.slept.forEach((ms, tries) => {
      const full = Math.min(10_000, 250 * 2 ** tries);
      assert.ok(ms >= full / 2 && ms <= full, `pause ${tries} is ${ms} ms`);
    });
  });

  it('gives up with the last error when the time is over', async () => {
    const clock = new FakeClock();
    const start = clock.now();
    const waits: number[] = [];
    const waiting = retryWhileUnavailable(() => Promise.reject(away()), {
      clock,
      maxMs: 60_000,
      onWait: (_error, ms) => waits.push(ms),
    });
    await assert.rejects(clock.runUntil(waiting), /it is away/);
    assert.equal(clock.now() - start, 60_000);
    assert.deepEqual(waits, clock.slept);
  });

  it('repeats nothing else', async () => {
    const clock = new FakeClock();
    const refused = new DatabaseError('DB_QUERY_FAILED', 'no', { sqlState: '42601', retryable: false });
    for (const error of [refused, new TypeError('a fault of ours')]) {
      await assert.rejects(
        retryWhileUnavailable(() => Promise.reject(error), { clock }),
        error,
      );
    }
    assert.deepEqual(clock.slept, []);
  });

  it('stops when it is told to, before and during a pause', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    let calls = 0;
    const fn = async () => {
      calls += 1;
      throw away();
    };
    const waiting = assert.rejects(retryWhileUnavailable(fn, { clock, signal: stop.signal }), /enough/);
    await new Promise(setImmediate);
    stop.abort(new Error('enough'));
    await waiting;
    await assert.rejects(retryWhileUnavailable(fn, { clock, signal: stop.signal }), /enough/);
    assert.equal(calls, 1);
  });
});
