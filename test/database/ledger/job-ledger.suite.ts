import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { JobLedger } from '../../../src/database/ledger/job-ledger.ts';
import type { Attempt } from '../../../src/failure.ts';
import { addedJob, aJob, aLoad, aReceipt, aRun, closedJob, hold } from './ledger-samples.ts';

const BROKEN_OFF = { code: 'LOAD_BROKEN_OFF' };
const ATTEMPT: Attempt = {
  at: '2026-01-01T02:05:00.000Z',
  via: 'individual',
  errorCode: 'UNABLE_TO_LOCK_ROW',
  errorMessage: 'unable to obtain "exclusive" access\u0000\ud800',
};

/** What `JobLedger` promises, of whatever implements it. `opened` gives the one ledger that all tests share. */
export function jobLedgerSuite(opened: () => JobLedger): void {
  let ledger: JobLedger;
  before(() => {
    ledger = opened();
  });

  describe('hold', () => {
    it('is one at a time for a load, and raises the epoch', async () => {
      const load = aLoad();
      const first = await hold(ledger, load);
      assert.equal(await ledger.acquire(load), undefined);
      await first.release();
      const second = await hold(ledger, load);
      assert.ok(second.epoch > first.epoch);
      assert.equal(second.signal.aborted, false);
      assert.deepEqual(second.load, load);
      await second.release();
    });

    it('is of its own load alone', async () => {
      const load = aLoad();
      const holds = await Promise.all([
        hold(ledger, load),
        hold(ledger, { ...load, orgId: '00D000000000002EAA' }),
        hold(ledger, aLoad()),
      ]);
      await Promise.all(holds.map((each) => each.release()));
    });

    it('goes to one of many who ask at once', async () => {
      const load = aLoad();
      const taken = await Promise.all([1, 2, 3, 4, 5].map(() => ledger.acquire(load)));
      const got = taken.filter((each) => each !== undefined);
      assert.equal(got.length, 1);
      await got[0]?.release();
    });

    it('may be released twice, the second time in vain', async () => {
      const load = aLoad();
      const first = await hold(ledger, load);
      await first.release();
      const second = await hold(ledger, load);
      await first.release();
      assert.equal(await ledger.acquire(load), undefined);
      await second.release();
    });
  });

  describe('run', () => {
    it('goes from loading to loaded to ended', async () => {
      const { load, held, runId } = await aRun(ledger);
      const begun = await ledger.findRun(runId);
      assert.ok(begun);
      const { startedAt, ...rest } = begun;
      assert.ok(Math.abs(startedAt.getTime() - (await ledger.now()).getTime()) < 5_000);
      assert.deepEqual(rest, {
        runId,
        load,
        state: 'loading',
        endedAt: null,
        received: 0,
        rejected: 0,
        complete: false,
        apiCalls: 0,
        receipt: null,
      });
      await ledger.runLoaded(held, runId, { received: 12, rejected: 2, complete: true });
      assert.deepEqual(await ledger.unfinishedRuns(load), [
        { ...rest, startedAt, state: 'loaded', received: 12, rejected: 2, complete: true },
      ]);
      assert.equal(await ledger.lastRunEndedAt(load), undefined);
      await ledger.endRun(held, runId, aReceipt({ runId }));
      const ended = await ledger.findRun(runId);
      assert.equal(ended?.state, 'ended');
      assert.deepEqual(ended?.receipt, aReceipt({ runId }));
      assert.deepEqual(await ledger.lastRunEndedAt(load), ended?.endedAt);
      assert.deepEqual(await ledger.unfinishedRuns(load), []);
      await held.release();
    });

    it('is begun, loaded and ended once, however often it is asked for', async () => {
      const { load, held, runId } = await aRun(ledger);
      const again = await ledger.beginRun(held, runId);
      assert.deepEqual(again, await ledger.findRun(runId));
      await ledger.runLoaded(held, runId, { received: 3, rejected: 0, complete: true });
      await ledger.runLoaded(held, runId, { received: 4, rejected: 0, complete: false });
      await ledger.endRun(held, runId, aReceipt({ received: 3 }));
      const ended = await ledger.findRun(runId);
      await ledger.endRun(held, runId, aReceipt({ received: 4 }));
      await ledger.runLoaded(held, runId, { received: 5, rejected: 0, complete: true });
      assert.deepEqual(await ledger.findRun(runId), ended);
      assert.equal(ended?.received, 3);
      assert.deepEqual(await ledger.lastRunEndedAt(load), ended?.endedAt);
      await held.release();
    });

    it('is listed oldest first, and only with its own load', async () => {
      const { load, held, runId } = await aRun(ledger);
      const second = randomUUID();
      await ledger.beginRun(held, second);
      const other = await aRun(ledger);
      const listed = await ledger.unfinishedRuns(load);
      assert.deepEqual(
        listed.map((run) => run.runId),
        [runId, second],
      );
      await held.release();
      await other.held.release();
    });

    it('sums up its API calls', async () => {
      const { held, runId } = await aRun(ledger);
      await Promise.all([1, 2, 3, 4].map((calls) => ledger.addApiCalls(runId, calls)));
      assert.equal((await ledger.findRun(runId))?.apiCalls, 10);
      await held.release();
    });

    it('is unknown when it is', async () => {
      assert.equal(await ledger.findRun(randomUUID()), undefined);
    });
  });

  describe('job', () => {
    it('goes from open to closing to closed to settled', async () => {
      const run = await aRun(ledger);
      const job = aJob({ runId: run.runId });
      const carried = {
        _msgid: 'a1',
        topic: 'NUL \u0000, half a pair \ud800',
        req: { deep: [1, null, 'x'] },
      };
      await ledger.addJob(run.held, { job, runId: run.runId, carried, claimIds: ['c1', 'c2'] });
      const open = await ledger.findJob(job.id);
      assert.deepEqual(open, {
        job,
        runId: run.runId,
        load: run.load,
        state: 'open',
        carried,
        claimIds: ['c1', 'c2'],
        parkedReason: null,
        receipt: null,
        abandonedBy: null,
        reason: null,
      });
      assert.deepEqual(await ledger.unsettledJobs(run.load), []);
      assert.equal(await ledger.markClosing(run.held, job.id), true);
      assert.deepEqual(await ledger.unsettledJobs(run.load), [{ ...open, state: 'closing' }]);
      const closed = { ...job, state: 'UploadComplete' as const };
      await ledger.markClosed(job.id, closed);
      assert.deepEqual(await ledger.unsettledJobs(run.load), [{ ...open, state: 'closed', job: closed }]);
      const done = { ...job, state: 'JobComplete' as const, numberRecordsProcessed: 10 };
      await ledger.settleJob(job.id, done, aReceipt({ jobId: job.id }));
      assert.deepEqual(await ledger.findJob(job.id), {
        ...open,
        state: 'settled',
        job: done,
        receipt: aReceipt({ jobId: job.id }),
      });
      assert.deepEqual(await ledger.unsettledJobs(run.load), []);
      await run.held.release();
    });

    it('is added once, and stays what it is when added again', async () => {
      const run = await aRun(ledger);
      const job = await closedJob(ledger, run);
      const known = await ledger.findJob(job.id);
      await ledger.addJob(run.held, { job, runId: run.runId, carried: {}, claimIds: [] });
      assert.deepEqual(await ledger.findJob(job.id), known);
      await run.held.release();
    });

    it('may be marked closing again by whoever lost the answer', async () => {
      const run = await aRun(ledger);
      const job = await addedJob(ledger, run);
      assert.equal(await ledger.markClosing(run.held, job.id), true);
      assert.equal(await ledger.markClosing(run.held, job.id), true);
      await run.held.release();
    });

    it('is not marked closing when it is unknown or discarded', async () => {
      const run = await aRun(ledger);
      const job = await addedJob(ledger, run);
      await ledger.discardJob(job.id, 'upload failed');
      assert.equal(await ledger.markClosing(run.held, job.id), false);
      assert.equal(await ledger.markClosing(run.held, aJob().id), false);
      assert.equal((await ledger.findJob(job.id))?.state, 'discarded');
      assert.equal((await ledger.findJob(job.id))?.reason, 'upload failed');
      await run.held.release();
    });

    it('cannot be discarded once it was closing', async () => {
      const run = await aRun(ledger);
      const job = await addedJob(ledger, run);
      await ledger.markClosing(run.held, job.id);
      await ledger.discardJob(job.id, 'too late');
      assert.equal((await ledger.findJob(job.id))?.state, 'closing');
      await run.held.release();
    });

    it('is parked while it is closing or closed, and carried on again', async () => {
      const run = await aRun(ledger);
      const open = await addedJob(ledger, run);
      await ledger.parkJob(open.id, 'stalled');
      assert.equal((await ledger.findJob(open.id))?.parkedReason, null);
      const job = await closedJob(ledger, run, { index: 1 });
      await ledger.parkJob(job.id, 'stalled \u0000');
      assert.match((await ledger.findJob(job.id))?.parkedReason ?? '', /^stalled /);
      await ledger.unparkJob(job.id);
      assert.equal((await ledger.findJob(job.id))?.parkedReason, null);
      await ledger.parkJob(job.id, 'timed out');
      await ledger.settleJob(job.id, job, aReceipt());
      assert.equal((await ledger.findJob(job.id))?.parkedReason, null);
      await run.held.release();
    });

    it('keeps its final state', async () => {
      const run = await aRun(ledger);
      const job = await closedJob(ledger, run);
      await ledger.settleJob(job.id, job, aReceipt({ succeeded: 9 }));
      const settled = await ledger.findJob(job.id);
      await ledger.markClosed(job.id, job);
      await ledger.parkJob(job.id, 'late');
      await ledger.discardJob(job.id, 'late');
      await ledger.settleJob(job.id, job, aReceipt({ succeeded: 0 }));
      assert.equal(await ledger.abandonJob(job.id, 'someone', 'late', aReceipt()), false);
      assert.equal(await ledger.markClosing(run.held, job.id), false);
      assert.deepEqual(await ledger.findJob(job.id), settled);
      await run.held.release();
    });

    it('can be given up by a person', async () => {
      const run = await aRun(ledger);
      const job = await closedJob(ledger, run);
      await ledger.parkJob(job.id, 'gone');
      assert.equal(
        await ledger.abandonJob(job.id, 'Ada', 'deleted in the org', aReceipt({ complete: false })),
        true,
      );
      const { state, abandonedBy, reason, receipt, parkedReason } = (await ledger.findJob(job.id)) ?? {};
      assert.deepEqual(
        { state, abandonedBy, reason, parkedReason, complete: receipt?.complete },
        {
          state: 'abandoned',
          abandonedBy: 'Ada',
          reason: 'deleted in the org',
          parkedReason: null,
          complete: false,
        },
      );
      assert.deepEqual(await ledger.unsettledJobs(run.load), []);
      assert.equal(
        await ledger.abandonJob(job.id, 'Ada', 'deleted in the org', aReceipt()),
        true,
        'repeated',
      );
      assert.equal(await ledger.abandonJob(job.id, 'Bob', 'so do I', aReceipt()), false);
      assert.equal(await ledger.abandonJob(aJob().id, 'Ada', 'unknown', aReceipt()), false);
      await run.held.release();
    });

    it('is listed oldest first, by run and by load', async () => {
      const run = await aRun(ledger);
      const ids: string[] = [];
      for (let index = 0; index < 4; index += 1) ids.push((await closedJob(ledger, run, { index })).id);
      const list = await ledger.jobsOfRun(run.runId);
      assert.deepEqual(
        list.map(({ job }) => job.id),
        ids,
      );
      await ledger.settleJob(ids[1] ?? '', aJob(), aReceipt());
      const unsettled = await ledger.unsettledJobs(run.load);
      assert.deepEqual(
        unsettled.map(({ job }) => job.id),
        [ids[0], ids[2], ids[3]],
      );
      await run.held.release();
    });

    it('belongs to the caller in no part', async () => {
      const run = await aRun(ledger);
      const job = aJob({ runId: run.runId });
      const carried = { list: ['a'] };
      await ledger.addJob(run.held, { job, runId: run.runId, carried, claimIds: [] });
      carried.list.push('b');
      job.columns.push('Phone');
      const found = await ledger.findJob(job.id);
      found?.job.columns.push('Fax');
      const again = await ledger.findJob(job.id);
      assert.deepEqual(again?.carried, { list: ['a'] });
      assert.deepEqual(again?.job.columns, ['LastName', 'External_Id__c']);
      await run.held.release();
    });
  });

  describe('epoch', () => {
    it('once raised, refuses what its former holder writes', async () => {
      const run = await aRun(ledger);
      const job = await addedJob(ledger, run);
      await run.held.release();
      const taken = await hold(ledger, run.load);
      const late = run.held;
      assert.equal(await ledger.markClosing(late, job.id), false);
      assert.equal((await ledger.findJob(job.id))?.state, 'open');
      await assert.rejects(ledger.beginRun(late, randomUUID()), BROKEN_OFF);
      await assert.rejects(
        ledger.addJob(late, { job: aJob(), runId: run.runId, carried: {}, claimIds: [] }),
        BROKEN_OFF,
      );
      await assert.rejects(
        ledger.runLoaded(late, run.runId, { received: 1, rejected: 0, complete: true }),
        BROKEN_OFF,
      );
      await assert.rejects(ledger.endRun(late, run.runId, aReceipt()), BROKEN_OFF);
      const key = randomUUID();
      await assert.rejects(ledger.beginRetries([{ key, jobId: job.id }], late), BROKEN_OFF);
      assert.equal(
        (await ledger.beginRetries([{ key, jobId: job.id }], taken)).size,
        0,
        'nothing was written',
      );
      assert.equal((await ledger.findRun(run.runId))?.state, 'loading');
      await taken.release();
    });

    it('lets the taker go on where the former holder stopped', async () => {
      const run = await aRun(ledger);
      const [open, closing] = [await addedJob(ledger, run), await addedJob(ledger, run, { index: 1 })];
      await ledger.markClosing(run.held, closing.id);
      await run.held.release();
      const held = await hold(ledger, run.load);
      assert.deepEqual(
        (await ledger.jobsOfRun(run.runId)).map(({ state }) => state),
        ['open', 'closing'],
      );
      await ledger.discardJob(open.id, 'its process ended');
      await ledger.markClosed(closing.id, closing);
      await ledger.runLoaded(held, run.runId, { received: 10, rejected: 0, complete: false });
      await ledger.settleJob(closing.id, closing, aReceipt());
      await ledger.endRun(held, run.runId, aReceipt({ complete: false }));
      assert.equal((await ledger.findRun(run.runId))?.complete, false);
      await held.release();
    });
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
  });

  describe('claim', () => {
    it('is unknown, loading, then settled with its jobs', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      assert.equal(await ledger.claimState(claim), 'unknown');
      const job = await closedJob(ledger, run, {}, [claim, randomUUID()]);
      const second = await closedJob(ledger, run, { index: 1 }, [claim]);
      await ledger.settleJob(job.id, job, aReceipt());
      await ledger.runLoaded(run.held, run.runId, { received: 1, rejected: 0, complete: true });
      assert.equal(await ledger.claimState(claim), 'loading');
      await ledger.settleJob(second.id, second, aReceipt());
      assert.equal(await ledger.claimState(claim), 'settled');
      await run.held.release();
    });

    it('is not decided while its run may still make jobs', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const job = await closedJob(ledger, run, {}, [claim]);
      await ledger.settleJob(job.id, job, aReceipt());
      assert.equal(await ledger.claimState(claim), 'loading');
      const dropped = randomUUID();
      const open = await addedJob(ledger, run, { index: 1 }, [dropped]);
      await ledger.discardJob(open.id, 'upload failed');
      assert.equal(await ledger.claimState(dropped), 'loading');
      await run.held.release();
    });

    it('is released when no job loads it', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const open = await addedJob(ledger, run, {}, [claim]);
      await ledger.discardJob(open.id, 'broken off');
      await ledger.runLoaded(run.held, run.runId, { received: 1, rejected: 0, complete: false });
      assert.equal(await ledger.claimState(claim), 'released');
      await run.held.release();
    });

    it('is settled when a second job took the file of a discarded one', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const doubtful = await addedJob(ledger, run, { index: 3 }, [claim]);
      await ledger.discardJob(doubtful.id, 'no answer to the upload');
      const job = await closedJob(ledger, run, { index: 3 }, [claim]);
      await ledger.runLoaded(run.held, run.runId, { received: 1, rejected: 0, complete: true });
      assert.equal(await ledger.claimState(claim), 'loading');
      await ledger.settleJob(job.id, job, aReceipt());
      assert.equal(await ledger.claimState(claim), 'settled');
      await run.held.release();
    });

    it('stays undecided when only a part of it was loaded', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const job = await closedJob(ledger, run, { index: 0 }, [claim]);
      const dropped = await addedJob(ledger, run, { index: 1 }, [claim]);
      await ledger.settleJob(job.id, job, aReceipt());
      await ledger.discardJob(dropped.id, 'broken off');
      await ledger.runLoaded(run.held, run.runId, { received: 2, rejected: 0, complete: false });
      assert.equal(await ledger.claimState(claim), 'loading');
      await run.held.release();
    });
  });

  describe('retention', () => {
    it('keeps what is younger, and what has not ended', async () => {
      const run = await aRun(ledger);
      const job = await closedJob(ledger, run);
      assert.equal(await ledger.prune(run.load, 0), 0);
      await ledger.settleJob(job.id, job, aReceipt());
      await ledger.endRun(run.held, run.runId, aReceipt());
      assert.equal(await ledger.prune(run.load, 1), 0);
      assert.ok(await ledger.findJob(job.id));
      await run.held.release();
    });

    it('forgets ended runs with their jobs and retries, of this load alone', async () => {
      const [run, other] = [await aRun(ledger), await aRun(ledger)];
      const [job, otherJob] = [await closedJob(ledger, run), await closedJob(ledger, other)];
      const [key, otherKey] = [randomUUID(), randomUUID()];
      await ledger.beginRetries([{ key, jobId: job.id }], run.held);
      await ledger.beginRetries([{ key: otherKey, jobId: otherJob.id }], other.held);
      for (const { held, runId } of [run, other]) await ledger.endRun(held, runId, aReceipt());
      const endedAt = await ledger.lastRunEndedAt(run.load);
      // A moment in the past is older than no days.
      while ((await ledger.now()).getTime() <= (endedAt?.getTime() ?? 0)) await new Promise(setImmediate);
      assert.equal(await ledger.prune(run.load, 0), 1);
      assert.equal(await ledger.findRun(run.runId), undefined);
      assert.equal(await ledger.findJob(job.id), undefined);
      assert.deepEqual(await ledger.lastRunEndedAt(run.load), endedAt, 'rows read before are still stale');
      assert.equal((await ledger.beginRetries([{ key, jobId: job.id }], run.held)).size, 0);
      assert.ok(await ledger.findJob(otherJob.id));
      assert.equal((await ledger.beginRetries([{ key: otherKey, jobId: otherJob.id }], other.held)).size, 1);
      await run.held.release();
      await other.held.release();
    });
  });
}
