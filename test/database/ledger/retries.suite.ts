import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { JobLedger } from '../../../src/database/ledger/job-ledger.ts';
import type { Attempt } from '../../../src/failure.ts';
import { aRun } from './ledger-samples.ts';

const ATTEMPT: Attempt = {
  at: '2026-01-01T02:05:00.000Z',
  via: 'individual',
  errorCode: 'UNABLE_TO_LOCK_ROW',
  errorMessage: 'unable to obtain "exclusive" access\u0000\ud800',
};

/** What `JobLedger` promises of single retries. */
export function retriesSuite(opened: () => JobLedger): void {
  let ledger: JobLedger;
  before(() => {
    ledger = opened();
  });

  describe('retries', () => {
    it('are noted before the call, and known after it', async () => {
      const [first, second] = [randomUUID(), randomUUID()];
      const keys = [
        { key: first, jobId: '750x' },
        { key: second, jobId: null },
      ];
      assert.equal((await ledger.beginRetries(keys, undefined)).size, 0);
      const during = await ledger.beginRetries(keys, undefined);
      assert.deepEqual([during.get(first)?.state, during.get(second)?.state], ['calling', 'calling']);
      await ledger.endRetries([
        { key: first, state: 'succeeded', sfId: '003000000000001AAA', attempts: [ATTEMPT] },
        { key: second, state: 'failed', sfId: null, attempts: [ATTEMPT] },
      ]);
      const after = await ledger.beginRetries(keys, undefined);
      const { calledAt, ...known } = after.get(first) ?? {};
      assert.deepEqual(known, {
        key: first,
        jobId: '750x',
        state: 'succeeded',
        sfId: '003000000000001AAA',
        attempts: [ATTEMPT],
      });
      assert.ok(Math.abs((calledAt?.getTime() ?? 0) - (await ledger.now()).getTime()) < 5_000);
      assert.equal(after.get(second)?.state, 'failed');
      assert.deepEqual(after.get(second)?.attempts, [ATTEMPT]);
      const again = await ledger.beginRetries(keys, undefined);
      assert.equal(again.get(first)?.state, 'succeeded', 'a final state stays');
      assert.equal(again.get(second)?.state, 'calling', 'a failed one was begun anew');
    });

    it('are known by key and by the record that was stored, without being begun', async () => {
      const [stored, failed, other] = [randomUUID(), randomUUID(), randomUUID()];
      const sfId = `a00${randomUUID().replaceAll('-', '').slice(0, 15)}`;
      const begun = [stored, failed, other].map((key) => ({ key, jobId: '750x' }));
      await ledger.beginRetries(begun, undefined);
      await ledger.endRetries([
        { key: stored, state: 'succeeded', sfId, attempts: [ATTEMPT] },
        { key: failed, state: 'failed', sfId: null, attempts: [] },
      ]);
      const states = async (keys: string[], sfIds: string[]) =>
        (await ledger.knownRetries({ keys, sfIds })).map(({ key, state }) => `${key} ${state}`).toSorted();
      const expected = (...entries: string[]) => entries.toSorted();
      assert.deepEqual(await states([], [sfId, 'a00none']), [`${stored} succeeded`]);
      assert.deepEqual(
        await states([stored, failed, randomUUID()], [sfId]),
        expected(`${stored} succeeded`, `${failed} failed`),
      );
      assert.deepEqual(await states([failed, other], []), expected(`${failed} failed`, `${other} calling`));
      assert.deepEqual(await states([], []), []);
    });

    for (const state of ['succeeded', 'gave-up', 'in-doubt'] as const) {
      it(`that are ${state} are not begun again`, async () => {
        const key = randomUUID();
        await ledger.beginRetries([{ key, jobId: null }], undefined);
        await ledger.endRetries([{ key, state, sfId: null, attempts: [] }]);
        await ledger.beginRetries([{ key, jobId: null }], undefined);
        assert.equal((await ledger.beginRetries([{ key, jobId: null }], undefined)).get(key)?.state, state);
      });
    }

    it('may name a key twice, and none', async () => {
      const key = randomUUID();
      const twice = [
        { key, jobId: '750a' },
        { key, jobId: '750a' },
      ];
      assert.equal((await ledger.beginRetries(twice, undefined)).size, 0);
      assert.equal((await ledger.beginRetries([], undefined)).size, 0);
      await ledger.endRetries([]);
      await ledger.endRetries([
        { key, state: 'failed', sfId: null, attempts: [] },
        { key, state: 'gave-up', sfId: null, attempts: [ATTEMPT] },
      ]);
      const known = await ledger.beginRetries(twice, undefined);
      assert.equal(known.get(key)?.state, 'gave-up');
    });

    it('give each key to one of many who begin at once', async () => {
      const keys = Array.from({ length: 50 }, () => ({ key: randomUUID(), jobId: null }));
      const known = await Promise.all([1, 2, 3, 4].map(() => ledger.beginRetries(keys, undefined)));
      for (const { key } of keys) {
        assert.equal(known.filter((each) => !each.has(key)).length, 1, 'exactly one found it new');
      }
    });

    it('need the epoch of their hold', async () => {
      const { held, runId } = await aRun(ledger);
      const key = randomUUID();
      await ledger.beginRetries([{ key, jobId: null }], held);
      assert.equal((await ledger.beginRetries([{ key, jobId: null }], held)).get(key)?.state, 'calling');
      assert.ok(runId);
      await held.release();
    });

    it('end as the process says that took over, and the one before hears that its epoch has passed', async () => {
      const { held } = await aRun(ledger);
      const [told, doubted] = [randomUUID(), randomUUID()];
      const keys = [told, doubted].map((key) => ({ key, jobId: null }));
      await ledger.beginRetries(keys, held);
      await held.release();
      const next = await ledger.acquire(held.load);
      assert.ok(next);
      await ledger.endRetries([{ key: doubted, state: 'in-doubt', sfId: null, attempts: [] }], next);
      const late = [told, doubted].map((key) => ({
        key,
        state: 'succeeded' as const,
        sfId: 'a00x',
        attempts: [],
      }));
      await assert.rejects(ledger.endRetries(late, held), { code: 'LOAD_BROKEN_OFF' });
      const known = await ledger.beginRetries(keys, next);
      assert.equal(known.get(doubted)?.state, 'in-doubt', 'what was said stays');
      assert.equal(known.get(told)?.state, 'succeeded', 'what nobody has judged yet is a fact');
      await next.release();
    });

    it('of a process whose epoch has passed are not open again: the one that took over may be calling', async () => {
      const { held } = await aRun(ledger);
      const key = randomUUID();
      await ledger.beginRetries([{ key, jobId: null }], held);
      await held.release();
      const next = await ledger.acquire(held.load);
      assert.ok(next);
      const late = ledger.endRetries([{ key, state: 'failed', sfId: null, attempts: [] }], held);
      await assert.rejects(late, { code: 'LOAD_BROKEN_OFF' });
      assert.equal((await ledger.beginRetries([{ key, jobId: null }], next)).get(key)?.state, 'calling');
      await ledger.endRetries([{ key, state: 'failed', sfId: null, attempts: [] }], next);
      assert.equal((await ledger.beginRetries([{ key, jobId: null }], next)).get(key)?.state, 'failed');
      await next.release();
    });

    it('that succeeded are never sent again, though somebody said before that they failed', async () => {
      const key = randomUUID();
      await ledger.beginRetries([{ key, jobId: null }], undefined);
      await ledger.endRetries([{ key, state: 'failed', sfId: null, attempts: [] }]);
      for (const state of ['gave-up', 'in-doubt'] as const)
        await ledger.endRetries([{ key, state, sfId: null, attempts: [] }]);
      await ledger.endRetries([{ key, state: 'succeeded', sfId: 'a00x', attempts: [] }]);
      await ledger.endRetries([{ key, state: 'failed', sfId: null, attempts: [] }]);
      const known = (await ledger.beginRetries([{ key, jobId: null }], undefined)).get(key);
      assert.deepEqual([known?.state, known?.sfId], ['succeeded', 'a00x']);
    });
  });
}
