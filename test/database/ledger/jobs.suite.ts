import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { JobLedger, LetterRange } from '../../../src/database/ledger/job-ledger.ts';
import { addedJob, aJob, aReceipt, aRun, closedJob } from './ledger-samples.ts';

/** What `JobLedger` promises of jobs and of the claims that they hold. */
export function jobsSuite(opened: () => JobLedger): void {
  let ledger: JobLedger;
  before(() => {
    ledger = opened();
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
        claimParts: [],
        givenBack: null,
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

    it('keeps the first note of the letters that are given back', async () => {
      const run = await aRun(ledger);
      const job = await closedJob(ledger, run, {}, ['c1']);
      const first = [{ claimId: 'c1', letters: ['7', '9223372036854775807'] }];
      assert.deepEqual(await ledger.noteGivenBack(job.id, first), first);
      assert.deepEqual(await ledger.noteGivenBack(job.id, [{ claimId: 'c1', letters: ['8'] }]), first);
      await ledger.addJob(run.held, { job, runId: run.runId, carried: {}, claimIds: ['c1'] });
      assert.deepEqual((await ledger.findJob(job.id))?.givenBack, first);
      assert.equal((await ledger.unsettledJobs(run.load))[0]?.givenBack?.length, 1);
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

  describe('claim', () => {
    it('is loading, then settled with its jobs', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
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

    it('is loaded in part where the parts that jobs hold tell it, whatever never had a job', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const part = (first: string, past: string | null) => ({
        claimId: claim,
        letters: [first, past] as LetterRange,
      });
      const settled = [];
      for (const [index, claimPart] of [part('0', '9'), part('9', '120'), part('150', null)].entries()) {
        const job = aJob({ runId: run.runId, index });
        const entry = { job, runId: run.runId, carried: {}, claimIds: [claim], claimParts: [claimPart] };
        await ledger.addJob(run.held, entry);
        assert.deepEqual((await ledger.findJob(job.id))?.claimParts, [claimPart]);
        await ledger.markClosing(run.held, job.id);
        settled.push(job);
      }
      await ledger.runLoaded(run.held, run.runId, { received: 3, rejected: 0, complete: false });
      for (const job of settled) await ledger.settleJob(job.id, job, aReceipt());
      assert.deepEqual(await ledger.claimState(claim), {
        loaded: [
          ['0', '120'],
          ['150', null],
        ],
      });
      await run.held.release();
    });

    it('is settled when its parts meet from the first letter to the last', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const parts: LetterRange[] = [
        ['7', null],
        ['0', '7'],
      ];
      for (const [index, letters] of parts.entries()) {
        const job = aJob({ runId: run.runId, index });
        const claimParts = [{ claimId: claim, letters }];
        await ledger.addJob(run.held, { job, runId: run.runId, carried: {}, claimIds: [claim], claimParts });
        await ledger.markClosing(run.held, job.id);
        await ledger.settleJob(job.id, job, aReceipt());
      }
      await ledger.runLoaded(run.held, run.runId, { received: 3, rejected: 0, complete: true });
      assert.equal(await ledger.claimState(claim), 'settled');
      await run.held.release();
    });

    it('is unclear when a part of it was loaded, and nobody knows which', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const job = aJob({ runId: run.runId });
      const claimParts = [{ claimId: claim, letters: null }];
      await ledger.addJob(run.held, { job, runId: run.runId, carried: {}, claimIds: [claim], claimParts });
      await ledger.markClosing(run.held, job.id);
      await ledger.settleJob(job.id, job, aReceipt());
      await ledger.runLoaded(run.held, run.runId, { received: 1, rejected: 0, complete: false });
      assert.equal(await ledger.claimState(claim), 'unclear');
      await run.held.release();
    });

    it('is unclear when a job that was loaded and one that was dropped each say that they hold it', async () => {
      const run = await aRun(ledger);
      const claim = randomUUID();
      const job = await closedJob(ledger, run, { index: 0 }, [claim]);
      const dropped = await addedJob(ledger, run, { index: 1 }, [claim]);
      await ledger.settleJob(job.id, job, aReceipt());
      await ledger.discardJob(dropped.id, 'broken off');
      await ledger.runLoaded(run.held, run.runId, { received: 2, rejected: 0, complete: false });
      assert.equal(await ledger.claimState(claim), 'unclear');
      await run.held.release();
    });
  });
}
