import assert from 'node:assert/strict';
import type { JobLedger } from '../../../src/database/ledger/job-ledger.ts';
import { jobsSuite } from './jobs.suite.ts';
import { addedJob, aRun } from './ledger-samples.ts';
import { retriesSuite } from './retries.suite.ts';
import { runsSuite } from './runs.suite.ts';

/**
 * What `JobLedger` promises, of whatever implements it. `opened` gives the one ledger that the tests share, `empty` one that
 * knows nothing.
 */
export function jobLedgerSuite(opened: () => JobLedger, empty: () => Promise<JobLedger>): void {
  runsSuite(opened);
  jobsSuite(opened);
  retriesSuite(opened);

  describe('claim of which no job tells', () => {
    it('is unknown, but for the time that any run is loading: it may be in its files', async () => {
      const ledger = await empty();
      assert.equal(await ledger.claimState('claim'), 'unknown');
      const run = await aRun(ledger);
      await addedJob(ledger, run, {}, ['another']);
      assert.equal(await ledger.claimState('claim'), 'loading');
      await ledger.runLoaded(run.held, run.runId, { received: 1, rejected: 0, complete: true });
      assert.equal(await ledger.claimState('claim'), 'unknown');
      await run.held.release();
      await ledger.close();
    });
  });
}
