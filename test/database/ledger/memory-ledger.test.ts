import assert from 'node:assert/strict';
import { MemoryLedger } from '../../../src/database/ledger/memory-ledger.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { jobLedgerSuite } from './job-ledger.suite.ts';
import { aReceipt, aRun, closedJob } from './ledger-samples.ts';

const HOUR_MS = 3_600_000;
const MOST = 100_000;

describe('ledger in memory', () => {
  const ledger = new MemoryLedger();
  jobLedgerSuite(
    () => ledger,
    async () => new MemoryLedger(),
  );

  describe('outcomes of retries', () => {
    let clock: FakeClock;
    let own: MemoryLedger;
    beforeEach(() => {
      clock = new FakeClock();
      own = new MemoryLedger(clock);
    });

    /** A run of one job with as many retries; `settled`: to its end. */
    async function night(name: string, retries: number, { settled }: { settled: boolean }): Promise<void> {
      const run = await aRun(own);
      const job = await closedJob(own, run);
      for (let from = 0; from < retries; from += 1000) {
        const keys = Array.from(
          { length: Math.min(1000, retries - from) },
          (_, index) => `${name}-${from + index}`,
        );
        await own.beginRetries(
          keys.map((key) => ({ key, jobId: job.id })),
          run.held,
        );
        await own.endRetries(keys.map((key) => ({ key, state: 'succeeded', sfId: 'a00x', attempts: [] })));
      }
      if (settled) {
        await own.settleJob(job.id, job, aReceipt());
        await own.endRun(run.held, run.runId, aReceipt());
      }
      await run.held.release();
    }

    it('of jobs that are over are forgotten beyond the newest, once no second delivery can come', async () => {
      await night('first', 80_000, { settled: true });
      await clock.advance(24 * HOUR_MS);
      await night('second', 80_000, { settled: true });
      const probes = [0, 59_999, 60_000, 79_999].map((index) => ({ key: `first-${index}`, jobId: null }));
      // 100,000 are kept.
      const found = await own.beginRetries(probes, undefined);
      assert.deepEqual([...found.keys()], ['first-60000', 'first-79999']);
      const newest = await own.beginRetries([{ key: 'second-0', jobId: null }], undefined);
      assert.equal(newest.get('second-0')?.state, 'succeeded');
    });

    it('stay as long as a second delivery may come, however many there are', async () => {
      await night('large', MOST + 20_000, { settled: true });
      await clock.advance(HOUR_MS / 2);
      await night('next', 1000, { settled: true });
      const found = await own.beginRetries([{ key: 'large-0', jobId: null }], undefined);
      assert.equal(found.size, 1);
    });

    it('of a job that is not settled stay, however old they are', async () => {
      await night('parked', 1000, { settled: false });
      await clock.advance(24 * HOUR_MS);
      await night('next', MOST, { settled: true });
      await clock.advance(24 * HOUR_MS);
      await night('last', MOST, { settled: true });
      const probes = ['parked-0', 'parked-999', 'next-0'].map((key) => ({ key, jobId: null }));
      assert.deepEqual([...(await own.beginRetries(probes, undefined)).keys()], ['parked-0', 'parked-999']);
    });
  });
});
