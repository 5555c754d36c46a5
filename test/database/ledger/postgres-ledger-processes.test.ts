import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { JobLedger, LoadHold, LoadKey } from '../../../src/database/ledger/job-ledger.ts';
import { Database } from '../../../src/database/pool.ts';
import { configOf } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';
import { ledgerProcesses } from './ledger-processes.ts';
import { addedJob, aJob, aLoad, aRun, hold } from './ledger-samples.ts';

const HOLDER = fileURLToPath(new URL('./holder-process.ts', import.meta.url));

describe('ledger in PostgreSQL, of several processes', () => {
  const world = ledgerProcesses();
  const { aProcess, admin } = world;

  describe('two processes', () => {
    it('exclude each other, until the first has gone', async () => {
      const load = aLoad();
      const [first, second] = [aProcess(), aProcess()];
      await hold(first, load);
      assert.equal(await second.acquire(load), undefined);
      await first.close();
      const held = await hold(second, load);
      assert.equal(held.signal.aborted, false);
    });

    it('see each other’s last marks when one takes over in the middle of them', async () => {
      const [first, second] = [aProcess(), aProcess()];
      for (let round = 0; round < 25; round += 1) {
        const run = await aRun(first);
        const jobs = [await addedJob(first, run), await addedJob(first, run, { index: 1 })];
        await run.held.release();
        const [marked, taken] = await Promise.all([
          Promise.all(jobs.map(({ id }) => first.markClosing(run.held, id))),
          hold(second, run.load).then(async () => second.jobsOfRun(run.runId)),
        ]);
        const after = await second.jobsOfRun(run.runId);
        assert.deepEqual(
          taken.map(({ state }) => state),
          marked.map((took) => (took ? 'closing' : 'open')),
        );
        assert.deepEqual(after, taken, 'nothing is marked once the epoch has moved');
      }
    });

    it('wait for a mark that is under way before they raise the epoch', async () => {
      const [first, second] = [aProcess(), aProcess()];
      const run = await aRun(first);
      const job = await addedJob(first, run);
      const [marked, seen] = await whileRowIsLocked(
        ['SELECT FROM sf_sync_job WHERE job_id = $1 FOR UPDATE', job.id],
        () => first.markClosing(run.held, job.id),
        () => takeOver(second, run).then(() => second.findJob(job.id)),
      );
      assert.equal(marked, true);
      assert.equal(seen?.state, 'closing');
    });

    it('wait for retries that are begun before they raise the epoch', async () => {
      const [first, second] = [aProcess(), aProcess()];
      const run = await aRun(first);
      const key = randomUUID();
      await first.beginRetries([{ key, jobId: null }], run.held);
      await first.endRetries([{ key, state: 'failed', sfId: null, attempts: [] }]);
      const [begun, seen] = await whileRowIsLocked(
        ['SELECT FROM sf_sync_retry WHERE key = $1 FOR UPDATE', key],
        () => first.beginRetries([{ key, jobId: null }], run.held),
        () => takeOver(second, run).then((held) => second.beginRetries([{ key, jobId: null }], held)),
      );
      assert.equal(begun.get(key)?.state, 'failed');
      assert.equal(seen.get(key)?.state, 'calling');
    });

    /** `write` is stopped in the middle by a lock on its row, while `take` tries to take over; then both go on. */
    async function whileRowIsLocked<W, T>(
      [lock, id]: [string, string],
      write: () => Promise<W>,
      take: () => Promise<T>,
    ): Promise<[W, T]> {
      const db = new Database(configOf(world.server));
      const locked = Promise.withResolvers<void>();
      const unlock = Promise.withResolvers<void>();
      const locking = db.transaction(async (session) => {
        await session.query(lock, [id]);
        locked.resolve();
        await unlock.promise;
      });
      await locked.promise;
      const writing = write();
      await until(async () => (await waiting()) === 1, 'the writer waits for its row');
      const taking = take();
      await until(async () => (await waiting()) === 2, 'the taker waits for the writer');
      unlock.resolve();
      const both = await Promise.all([writing, taking]);
      await locking;
      await db.close();
      return both;
    }

    async function waiting(): Promise<number> {
      return (await admin("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).length;
    }

    /** As after the end of the first process: the lock is free, but its last statement still runs. */
    async function takeOver(ledger: JobLedger, run: { held: LoadHold; load: LoadKey }): Promise<LoadHold> {
      await run.held.release();
      return hold(ledger, run.load);
    }

    it('may make the tables at the same moment', async () => {
      const url = await world.server.createDatabase('many');
      assert.ok(url);
      const ledgers = Array.from({ length: 8 }, () => {
        const db = new Database(configOf({ ...world.server, database: 'many' }));
        return aProcess({ db });
      });
      const runs = await Promise.all(ledgers.map((ledger) => aRun(ledger)));
      assert.equal(runs.length, 8);
    });

    it('in different schemas have loads of their own', async () => {
      await world.server.createDatabase('schemas');
      const make = async (schema: string) => {
        const db = new Database(configOf({ ...world.server, database: 'schemas' }));
        await db.query(`CREATE SCHEMA ${schema}`);
        await db.query(`CREATE ROLE ${schema} LOGIN SUPERUSER PASSWORD 'x'`);
        await db.query(`ALTER ROLE ${schema} SET search_path = ${schema}`);
        await db.close();
        const own = new Database(
          configOf({ ...world.server, database: 'schemas' }, { user: schema, password: 'x' }),
        );
        return aProcess({ db: own });
      };
      const load = aLoad();
      const [one, two] = [await make('one'), await make('two')];
      const holds = await Promise.all([hold(one, load), hold(two, load)]);
      assert.deepEqual(
        holds.map(({ epoch }) => epoch),
        [1, 1],
      );
    });
  });

  describe('process that is stopped, cut off and continued', () => {
    let child: ChildProcess;
    afterEach(() => {
      child.kill('SIGKILL');
    });

    it('writes nothing more after another has taken over', async () => {
      const second = aProcess();
      const load = aLoad();
      const [runId, jobId] = [randomUUID(), aJob().id];
      child = spawn(
        process.execPath,
        [HOLDER, JSON.stringify({ config: configOf(world.server), load, runId, jobId })],
        {
          stdio: ['pipe', 'pipe', 'inherit'],
        },
      );
      const said: string[] = [];
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => said.push(line));
      await until(() => said.includes('held'), 'the child holds the load');
      child.kill('SIGSTOP');
      assert.equal(await second.acquire(load), undefined, 'a paused process keeps its lock');
      await admin(`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name LIKE 'salesforce-bulk%' AND pid <> pg_backend_pid()`);
      let taken = await second.acquire(load);
      await until(async () => {
        taken ??= await second.acquire(load);
        return taken !== undefined;
      }, 'the load is free');
      child.kill('SIGCONT');
      child.stdin?.write('mark\n');
      await until(() => said.includes('marked false'), 'the child tried in vain');
      await until(() => said.includes('lost LOAD_BROKEN_OFF'), 'the child knows');
      assert.equal((await second.findJob(jobId))?.state, 'open');
    });
  });
});
