import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';
import { ledgerProcesses } from './ledger-processes.ts';
import { addedJob, aRun, hold } from './ledger-samples.ts';

const BROKEN_OFF = { code: 'LOAD_BROKEN_OFF' };

describe('ledger in PostgreSQL, when connections of a lock break', () => {
  const world = ledgerProcesses();
  const { aProcess, admin } = world;

  describe('hold', () => {
    it('outlives a restart of the server', async () => {
      const [first, second] = [aProcess(), aProcess()];
      const run = await aRun(first);
      const job = await addedJob(first, run);
      await world.server.restart();
      assert.equal(await first.markClosing(run.held, job.id), true);
      await until(async () => (await lockHolders()) === 1, 'the lock is taken again');
      assert.equal(run.held.signal.aborted, false);
      assert.equal(await second.acquire(run.load), undefined);
      await run.held.release();
      assert.ok((await hold(second, run.load)).epoch > run.held.epoch);
    });

    it('outlives the end of its session', async () => {
      const [first, second] = [aProcess(), aProcess()];
      const run = await aRun(first);
      await admin("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
      await until(async () => (await lockHolders()) === 1, 'the lock is taken again');
      assert.equal(await second.acquire(run.load), undefined);
      assert.equal(run.held.signal.aborted, false);
    });

    it('ends a former session of its own that the server still believes in', async () => {
      const first = aProcess({ via: world.proxy });
      const run = await aRun(first);
      const [before] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
      world.proxy.orphan();
      await until(async () => {
        const [now] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
        return now !== undefined && now.pid !== before?.pid;
      }, 'another session has the lock');
      assert.equal(run.held.signal.aborted, false);
    });

    it('notices a connection that the network swallowed', async () => {
      const clock = new FakeClock();
      const first = aProcess({ via: world.proxy, clock });
      const run = await aRun(first);
      const [before] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
      world.proxy.swallow();
      await until(async () => {
        await clock.advance(5_000);
        const [now] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
        return now !== undefined && now.pid !== before?.pid;
      }, 'another session has the lock');
      assert.equal(run.held.signal.aborted, false);
    });

    it('is lost when another process took over meanwhile', async () => {
      const [first, second] = [aProcess({ via: world.proxy }), aProcess()];
      const run = await aRun(first);
      const job = await addedJob(first, run);
      world.proxy.cut();
      await until(async () => (await lockHolders()) === 0, 'the lock is free');
      const taken = await hold(second, run.load);
      world.proxy.heal();
      assert.equal(await first.markClosing(run.held, job.id), false);
      await assert.rejects(first.beginRetries([{ key: randomUUID(), jobId: job.id }], run.held), BROKEN_OFF);
      await until(() => run.held.signal.aborted, 'the holder is told');
      assert.equal(run.held.signal.reason.code, 'LOAD_BROKEN_OFF');
      assert.equal(taken.signal.aborted, false);
    });

    it('is lost when another process took over and is through already', async () => {
      const [first, second] = [aProcess({ via: world.proxy }), aProcess()];
      const run = await aRun(first);
      world.proxy.cut();
      await until(async () => (await lockHolders()) === 0, 'the lock is free');
      await (await hold(second, run.load)).release();
      world.proxy.heal();
      await until(() => run.held.signal.aborted, 'the holder is told');
      assert.ok(await second.acquire(run.load), 'the former holder does not keep the lock');
    });

    it('released while its connection is away, is not taken again', async () => {
      const first = aProcess({ via: world.proxy });
      const run = await aRun(first);
      world.proxy.cut();
      await run.held.release();
      world.proxy.heal();
      await until(async () => (await lockHolders()) === 0, 'the lock is free');
      assert.equal(run.held.signal.aborted, false);
    });

    it('is released in seconds on a connection that the network swallowed', async () => {
      const first = aProcess({ via: world.proxy });
      const run = await aRun(first);
      world.proxy.swallow();
      const began = performance.now();
      await run.held.release();
      assert.ok(performance.now() - began < 4_500);
      // As the server's keep-alives would, in a minute.
      world.proxy.cut();
      await until(async () => (await lockHolders()) === 0, 'the lock is free');
    });

    async function lockHolders(): Promise<number> {
      const rows = await admin("SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted");
      return rows.length;
    }
  });
});
