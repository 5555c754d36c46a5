import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { JobLedger } from '../../../src/database/ledger/job-ledger.ts';
import { addedJob, aJob, aLoad, aReceipt, aRun, closedJob, hold } from './ledger-samples.ts';

const BROKEN_OFF = { code: 'LOAD_BROKEN_OFF' };

/** What `JobLedger` promises of holds, runs and their retention. */
export function runsSuite(opened: () => JobLedger): void {
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

    it('that received nothing makes no rows stale', async () => {
      const { load, held, runId } = await aRun(ledger);
      await ledger.endRun(held, runId, aReceipt({ received: 0 }));
      assert.equal(await ledger.lastRunEndedAt(load), undefined);
      const ended = await ledger.findRun(runId);
      assert.equal(ended?.state, 'ended');
      const sinceEnd = (await ledger.now()).getTime() - (ended?.endedAt?.getTime() ?? 0);
      assert.ok(sinceEnd >= 0 && sinceEnd < 5_000);

      const [loaded, empty] = [randomUUID(), randomUUID()];
      await ledger.beginRun(held, loaded);
      await ledger.endRun(held, loaded, aReceipt({ received: 1 }));
      const endedAt = await ledger.lastRunEndedAt(load);
      assert.deepEqual(endedAt, (await ledger.findRun(loaded))?.endedAt);
      await ledger.beginRun(held, empty);
      await ledger.endRun(held, empty, aReceipt({ received: 0 }));
      assert.deepEqual(await ledger.lastRunEndedAt(load), endedAt, 'that of the run before stays');
      assert.ok(Number((await ledger.findRun(empty))?.endedAt) >= Number(endedAt));
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
