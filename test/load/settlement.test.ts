import assert from 'node:assert/strict';
import { isLoadError } from '../../src/errors.ts';
import type { Job } from '../../src/job.ts';
import { jobReceipt, type ResultCounts, Settlement, Settlements } from '../../src/load/settlement.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { jobOf } from './support/jobs.ts';

const STUCK_MS = 600_000;

describe('Settlement', () => {
  let clock: FakeClock;
  const signal = new AbortController().signal;

  beforeEach(() => {
    clock = new FakeClock();
  });

  function settlementOf(counts: Partial<ResultCounts>, job: Partial<Job> = {}, batchSize = 100): Settlement {
    const all = { succeeded: 0, failed: 0, unprocessed: 0, errorCodes: new Map(), ...counts };
    return new Settlement(jobOf(job), all, { batchSize, clock, loadName: 'rows' });
  }

  const keys = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `key-${from + n}`);

  function waitFor(settlement: Settlement, stop = signal) {
    const end: { done?: true; error?: unknown } = {};
    settlement.untilAccounted(STUCK_MS, stop).then(
      () => {
        end.done = true;
      },
      (error) => {
        end.error = error;
      },
    );
    return end;
  }

  it('asks nothing of a flow that has no node for failures or successes', () => {
    assert.equal(settlementOf({ succeeded: 10, failed: 5 }).accounted, true);
  });

  it('wants every failure accounted for once one was', async () => {
    const settlement = settlementOf({ failed: 5 });
    settlement.noteRetried(keys(2));
    const end = waitFor(settlement);
    await clock.advance(1000);
    assert.equal(end.done, undefined);
    settlement.noteDeadLettered(keys(3, 2));
    await clock.advance(0);
    assert.equal(end.done, true);
    assert.deepEqual([settlement.retried, settlement.deadLettered], [2, 3]);
  });

  it('counts a record once, however often and whatever became of it', () => {
    const settlement = settlementOf({ failed: 4 });
    settlement.noteDeadLettered(keys(3));
    settlement.noteDeadLettered(keys(3));
    settlement.noteRetried(keys(3));
    assert.equal(settlement.accounted, false);
    settlement.noteRetried(keys(1, 3));
    assert.equal(settlement.accounted, true);
  });

  it('wants every success written back once one was', () => {
    const settlement = settlementOf({ succeeded: 250 });
    settlement.noteWrittenBack(0, 100);
    settlement.noteWrittenBack(2, 50);
    assert.equal(settlement.accounted, false);
    settlement.noteWrittenBack(1, 100);
    assert.equal(settlement.writtenBack, 250);
    assert.equal(settlement.accounted, true);
  });

  it('counts a batch once that two nodes write back, also the last, which is short', () => {
    const settlement = settlementOf({ succeeded: 150 });
    for (const _ of [1, 2, 3]) settlement.noteWrittenBack(1, 50);
    assert.equal(settlement.writtenBack, 50);
    for (const _ of [1, 2]) settlement.noteWrittenBack(0, 60);
    assert.equal(settlement.writtenBack, 150);
  });

  it('counts batches that were joined on the way, or lost their mark, as they come', () => {
    const joined = settlementOf({ succeeded: 250 });
    joined.noteWrittenBack(2, 250);
    assert.equal(joined.accounted, true);
    const unmarked = settlementOf({ succeeded: 250 });
    for (const records of [100, 100, 50]) unmarked.noteWrittenBack(undefined, records);
    assert.equal(unmarked.writtenBack, 250);
    assert.equal(unmarked.accounted, true);
  });

  it('never counts more written back than there are', () => {
    const settlement = settlementOf({ succeeded: 100 });
    settlement.noteWrittenBack(undefined, 400);
    assert.equal(settlement.writtenBack, 100);
  });

  it('is not settled when nothing moves any more, and says what is missing', async () => {
    const settlement = settlementOf({ succeeded: 200, failed: 5 });
    settlement.noteDeadLettered(keys(3));
    settlement.noteWrittenBack(0, 100);
    const end = waitFor(settlement);
    await clock.advance(STUCK_MS - 1);
    assert.equal(end.error, undefined);
    await clock.advance(1);
    assert.ok(isLoadError(end.error, 'LOAD_UNSETTLED'));
    assert.match(String(end.error), /3 of 5 failed records .* 100 of 200 successes/);
  });

  it('waits as long as something moves, and stops when told', async () => {
    const settlement = settlementOf({ failed: 5 });
    const stop = new AbortController();
    settlement.noteRetried(keys(1));
    const end = waitFor(settlement, stop.signal);
    for (const from of [1, 2, 3]) {
      await clock.advance(STUCK_MS - 1000);
      settlement.noteRetried(keys(1, from));
    }
    await clock.advance(STUCK_MS - 1000);
    assert.equal(end.error, undefined);
    stop.abort(new Error('redeployed'));
    await clock.advance(0);
    assert.match(String(end.error), /redeployed/);
    assert.equal(clock.sleeping, 0);
  });

  describe('receipt', () => {
    const times = { startedAt: 'then', finishedAt: 'now', apiCalls: 9 };

    it('adds up for a job of ours', () => {
      const counts = { succeeded: 90, failed: 8, unprocessed: 2, errorCodes: new Map([['LOCK', 8]]) };
      const settlement = settlementOf(counts, { records: 100, state: 'Failed' });
      settlement.noteRetried(keys(3));
      settlement.noteDeadLettered(keys(5, 3));
      const receipt = jobReceipt(settlement, times);
      assert.deepEqual(receipt, {
        jobId: settlement.job.id,
        runId: 'run',
        loadName: 'rows',
        object: 'Load_Test__c',
        operation: 'insert',
        state: 'Failed',
        received: 100,
        rejected: 0,
        uploaded: 100,
        succeeded: 90,
        failed: 8,
        unprocessed: 2,
        unaccounted: 0,
        retried: 3,
        deadLettered: 5,
        writtenBack: 0,
        byErrorCode: { LOCK: 8 },
        ...times,
        complete: false,
      });
    });

    it('is complete when the job is and nothing was left unprocessed', () => {
      const whole = settlementOf({ succeeded: 100 }, { records: 100, state: 'JobComplete' });
      assert.equal(jobReceipt(whole, times).complete, true);
      const part = settlementOf({ succeeded: 99, unprocessed: 1 }, { records: 100, state: 'JobComplete' });
      assert.equal(jobReceipt(part, times).complete, false);
    });

    it('takes what the files hold for what another tool uploaded', () => {
      const foreign = settlementOf({ succeeded: 9, failed: 1 }, { records: 0, state: 'JobComplete' });
      const receipt = jobReceipt(foreign, times);
      assert.deepEqual([receipt.received, receipt.uploaded, receipt.unaccounted], [10, 10, 0]);
    });

    it('keeps error codes apart from what every object has', () => {
      const errorCodes = new Map([
        ['constructor', 2],
        ['__proto__', 1],
      ]);
      const receipt = jobReceipt(settlementOf({ failed: 3, errorCodes }, { records: 3 }), times);
      assert.deepEqual(Object.entries(receipt.byErrorCode), [...errorCodes]);
    });
  });

  it('is found by its job while it is open; one that was replaced closes only itself', () => {
    const open = new Settlements();
    const first = settlementOf({});
    const second = settlementOf({});
    open.open(first);
    open.open(second);
    open.close(first);
    assert.equal(open.find(first.job.id), second);
    open.close(second);
    assert.equal(open.find(first.job.id), undefined);
  });
});
