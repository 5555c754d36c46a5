import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { until } from '../../support/until.ts';
import { ledgerProcesses } from './ledger-processes.ts';
import { aJob, aLoad, aReceipt, aRun, closedJob } from './ledger-samples.ts';

describe('ledger in PostgreSQL, when statements meet a broken world', () => {
  const world = ledgerProcesses();
  const { aProcess } = world;

  describe('statement', () => {
    it('waits while the server is down, and says so once', async () => {
      const said: string[] = [];
      const log = { info: () => {}, warn: (text: string) => said.push(text), error: () => {} };
      const ledger = aProcess({ log });
      await ledger.now();
      await world.server.halt();
      const waiting = Promise.all([ledger.now(), ledger.unfinishedRuns(aLoad())]);
      await until(() => said.length > 0, 'it waits');
      await world.server.restart();
      const [now] = await waiting;
      assert.ok(now instanceof Date);
      assert.equal(said.length, 1);
      assert.match(
        said[0] ?? '',
        /The ledger waits\. PostgreSQL at 127\.0\.0\.1:\d+\/sandbox cannot be used/,
      );
    });

    it('gives up after the time that it was told', async () => {
      const ledger = aProcess({ maxWaitMs: 300 });
      await ledger.now();
      await world.server.halt();
      await assert.rejects(ledger.now(), { code: 'DB_UNAVAILABLE' });
      await world.server.restart();
      assert.ok(await ledger.now());
    });

    it('waits no longer when the ledger is closed', async () => {
      const ledger = aProcess();
      await ledger.now();
      await world.server.halt();
      const waiting = assert.rejects(ledger.now(), { code: 'DB_UNAVAILABLE', message: /was closed/ });
      await ledger.close();
      await waiting;
      await world.server.restart();
    });

    /** CommandComplete of the statement that writes: `C`, length, and its tag. */
    const wrote = (tag: string) => (bytes: Buffer) => bytes.includes(`${tag}`, 0, 'latin1');

    it('whose answer is lost counts API calls once', async () => {
      const ledger = aProcess({ via: world.proxy });
      const run = await aRun(ledger);
      const lost = world.proxy.loseAnswer(wrote('UPDATE 1'));
      await ledger.addApiCalls(run.runId, 7);
      await lost;
      assert.equal((await ledger.findRun(run.runId))?.apiCalls, 7);
    });

    it('whose answer is lost begins retries as if for the first time', async () => {
      const ledger = aProcess({ via: world.proxy });
      const [fresh, failed, called] = [randomUUID(), randomUUID(), randomUUID()];
      await ledger.beginRetries(
        [failed, called].map((key) => ({ key, jobId: null })),
        undefined,
      );
      await ledger.endRetries([{ key: failed, state: 'failed', sfId: null, attempts: [] }]);
      const keys = [fresh, failed, called].map((key) => ({ key, jobId: null }));
      const lost = world.proxy.loseAnswer(wrote('SELECT 2'));
      const known = await ledger.beginRetries(keys, undefined);
      await lost;
      assert.equal(known.get(fresh), undefined);
      assert.equal(known.get(failed)?.state, 'failed');
      assert.equal(known.get(called)?.state, 'calling');
    });

    it('whose answer is lost marks, adds and ends as if nothing had been', async () => {
      const ledger = aProcess({ via: world.proxy });
      const run = await aRun(ledger);
      const job = aJob({ runId: run.runId });
      const addLost = world.proxy.loseAnswer(wrote('SELECT 1'));
      await ledger.addJob(run.held, { job, runId: run.runId, carried: {}, claimIds: [] });
      await addLost;
      const markLost = world.proxy.loseAnswer(wrote('UPDATE 1'));
      assert.equal(await ledger.markClosing(run.held, job.id), true);
      await markLost;
      await ledger.settleJob(job.id, job, aReceipt());
      const endLost = world.proxy.loseAnswer(wrote('SELECT 1'));
      await ledger.endRun(run.held, run.runId, aReceipt());
      await endLost;
      assert.equal((await ledger.findRun(run.runId))?.state, 'ended');
    });

    it('refuses a job id that is known from another run', async () => {
      const ledger = aProcess();
      const [one, other] = [await aRun(ledger), await aRun(ledger)];
      const job = await closedJob(ledger, one);
      const again = { job, runId: other.runId, carried: {}, claimIds: [] };
      await assert.rejects(ledger.addJob(other.held, again), {
        code: 'CONFIG_INVALID',
        message: /is in this ledger already.*Give each org a ledger of its own/,
      });
    });
  });
});
