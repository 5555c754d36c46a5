import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type EmbeddedPostgres, startPostgres } from '../../../sandbox/postgres/embedded-postgres.ts';
import type { JobLedger, LoadHold, LoadKey } from '../../../src/database/ledger/job-ledger.ts';
import { PostgresLedger, type PostgresLedgerOptions } from '../../../src/database/ledger/postgres-ledger.ts';
import { Database } from '../../../src/database/pool.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { configOf } from '../../support/postgres.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { addedJob, aJob, aLoad, aReceipt, aRun, closedJob, hold } from './ledger-samples.ts';

const BROKEN_OFF = { code: 'LOAD_BROKEN_OFF' };
const HOLDER = fileURLToPath(new URL('./holder-process.ts', import.meta.url));

describe('ledger in PostgreSQL, when things break', () => {
  let server: EmbeddedPostgres;
  let proxy: TcpProxy;
  const opened: { ledger: PostgresLedger; db: Database }[] = [];

  before(async () => {
    server = await startPostgres({ fsync: false });
    proxy = await TcpProxy.start(server);
  });
  afterEach(async () => {
    proxy.heal();
    for (const { ledger, db } of opened.splice(0)) {
      await ledger.close();
      await db.close(100);
    }
  });
  after(async () => {
    await proxy.stop();
    await server.stop();
  });

  /** As another process has it: connections and locks of its own. */
  function aProcess({ via, ...options }: PostgresLedgerOptions & { via?: TcpProxy } = {}): JobLedger {
    const db = new Database({ ...configOf(server), port: via?.port ?? server.port });
    const ledger = new PostgresLedger(db, options);
    opened.push({ ledger, db });
    return ledger;
  }

  async function admin<R extends object>(sql: string, values: unknown[] = []): Promise<R[]> {
    const db = new Database(configOf(server));
    try {
      return (await db.query<R & Record<string, unknown>>(sql, values)).rows;
    } finally {
      await db.close();
    }
  }

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
      const db = new Database(configOf(server));
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
      const url = await server.createDatabase('many');
      assert.ok(url);
      const ledgers = Array.from({ length: 8 }, () => {
        const db = new Database(configOf({ ...server, database: 'many' }));
        const ledger = new PostgresLedger(db);
        opened.push({ ledger, db });
        return ledger;
      });
      const runs = await Promise.all(ledgers.map((ledger) => aRun(ledger)));
      assert.equal(runs.length, 8);
    });

    it('in different schemas have loads of their own', async () => {
      await server.createDatabase('schemas');
      const make = async (schema: string) => {
        const db = new Database(configOf({ ...server, database: 'schemas' }));
        await db.query(`CREATE SCHEMA ${schema}`);
        await db.query(`CREATE ROLE ${schema} LOGIN SUPERUSER PASSWORD 'x'`);
        await db.query(`ALTER ROLE ${schema} SET search_path = ${schema}`);
        await db.close();
        const own = new Database(
          configOf({ ...server, database: 'schemas' }, { user: schema, password: 'x' }),
        );
        const ledger = new PostgresLedger(own);
        opened.push({ ledger, db: own });
        return ledger;
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

  describe('hold', () => {
    it('outlives a restart of the server', async () => {
      const [first, second] = [aProcess(), aProcess()];
      const run = await aRun(first);
      const job = await addedJob(first, run);
      await server.restart();
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
      const first = aProcess({ via: proxy });
      const run = await aRun(first);
      const [before] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
      proxy.orphan();
      await until(async () => {
        const [now] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
        return now !== undefined && now.pid !== before?.pid;
      }, 'another session has the lock');
      assert.equal(run.held.signal.aborted, false);
    });

    it('notices a connection that the network swallowed', async () => {
      const clock = new FakeClock();
      const first = aProcess({ via: proxy, clock });
      const run = await aRun(first);
      const [before] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
      proxy.swallow();
      await until(async () => {
        await clock.advance(5_000);
        const [now] = await admin<{ pid: number }>("SELECT pid FROM pg_locks WHERE locktype = 'advisory'");
        return now !== undefined && now.pid !== before?.pid;
      }, 'another session has the lock');
      assert.equal(run.held.signal.aborted, false);
    });

    it('is lost when another process took over meanwhile', async () => {
      const [first, second] = [aProcess({ via: proxy }), aProcess()];
      const run = await aRun(first);
      const job = await addedJob(first, run);
      proxy.cut();
      await until(async () => (await lockHolders()) === 0, 'the lock is free');
      const taken = await hold(second, run.load);
      proxy.heal();
      assert.equal(await first.markClosing(run.held, job.id), false);
      await assert.rejects(first.beginRetries([{ key: randomUUID(), jobId: job.id }], run.held), BROKEN_OFF);
      await until(() => run.held.signal.aborted, 'the holder is told');
      assert.equal(run.held.signal.reason.code, 'LOAD_BROKEN_OFF');
      assert.equal(taken.signal.aborted, false);
    });

    it('is lost when another process took over and is through already', async () => {
      const [first, second] = [aProcess({ via: proxy }), aProcess()];
      const run = await aRun(first);
      proxy.cut();
      await until(async () => (await lockHolders()) === 0, 'the lock is free');
      await (await hold(second, run.load)).release();
      proxy.heal();
      await until(() => run.held.signal.aborted, 'the holder is told');
      assert.ok(await second.acquire(run.load), 'the former holder does not keep the lock');
    });

    it('released while its connection is away, is not taken again', async () => {
      const first = aProcess({ via: proxy });
      const run = await aRun(first);
      proxy.cut();
      await run.held.release();
      proxy.heal();
      await until(async () => (await lockHolders()) === 0, 'the lock is free');
      assert.equal(run.held.signal.aborted, false);
    });

    async function lockHolders(): Promise<number> {
      const rows = await admin("SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted");
      return rows.length;
    }
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
        [HOLDER, JSON.stringify({ config: configOf(server), load, runId, jobId })],
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

  describe('statement', () => {
    it('waits while the server is down, and says so once', async () => {
      const said: string[] = [];
      const log = { info: () => {}, warn: (text: string) => said.push(text), error: () => {} };
      const ledger = aProcess({ log });
      await ledger.now();
      await server.halt();
      const waiting = Promise.all([ledger.now(), ledger.unfinishedRuns(aLoad())]);
      await until(() => said.length > 0, 'it waits');
      await server.restart();
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
      await server.halt();
      await assert.rejects(ledger.now(), { code: 'DB_UNAVAILABLE' });
      await server.restart();
      assert.ok(await ledger.now());
    });

    it('waits no longer when the ledger is closed', async () => {
      const ledger = aProcess();
      await ledger.now();
      await server.halt();
      const waiting = assert.rejects(ledger.now(), { code: 'DB_UNAVAILABLE', message: /was closed/ });
      await ledger.close();
      await waiting;
      await server.restart();
    });

    /** CommandComplete of the statement that writes: `C`, length, and its tag. */
    const wrote = (tag: string) => (bytes: Buffer) => bytes.includes(`${tag}`, 0, 'latin1');

    it('whose answer is lost counts API calls once', async () => {
      const ledger = aProcess({ via: proxy });
      const run = await aRun(ledger);
      const lost = proxy.loseAnswer(wrote('UPDATE 1'));
      await ledger.addApiCalls(run.runId, 7);
      await lost;
      assert.equal((await ledger.findRun(run.runId))?.apiCalls, 7);
    });

    it('whose answer is lost begins retries as if for the first time', async () => {
      const ledger = aProcess({ via: proxy });
      const [fresh, failed, called] = [randomUUID(), randomUUID(), randomUUID()];
      await ledger.beginRetries(
        [failed, called].map((key) => ({ key, jobId: null })),
        undefined,
      );
      await ledger.endRetries([{ key: failed, state: 'failed', sfId: null, attempts: [] }]);
      const keys = [fresh, failed, called].map((key) => ({ key, jobId: null }));
      const lost = proxy.loseAnswer(wrote('SELECT 2'));
      const known = await ledger.beginRetries(keys, undefined);
      await lost;
      assert.equal(known.get(fresh), undefined);
      assert.equal(known.get(failed)?.state, 'failed');
      assert.equal(known.get(called)?.state, 'calling');
    });

    it('whose answer is lost marks, adds and ends as if nothing had been', async () => {
      const ledger = aProcess({ via: proxy });
      const run = await aRun(ledger);
      const job = aJob({ runId: run.runId });
      const addLost = proxy.loseAnswer(wrote('SELECT 1'));
      await ledger.addJob(run.held, { job, runId: run.runId, carried: {}, claimIds: [] });
      await addLost;
      const markLost = proxy.loseAnswer(wrote('UPDATE 1'));
      assert.equal(await ledger.markClosing(run.held, job.id), true);
      await markLost;
      await ledger.settleJob(job.id, job, aReceipt());
      const endLost = proxy.loseAnswer(wrote('SELECT 1'));
      await ledger.endRun(run.held, run.runId, aReceipt());
      await endLost;
      assert.equal((await ledger.findRun(run.runId))?.state, 'ended');
    });

    it('refuses a job id that is known from another run', async () => {
      const ledger = aProcess();
      const [one, other] = [await aRun(ledger), await aRun(ledger)];
      const job = await closedJob(ledger, one);
      const again = { job, runId: other.runId, carried: {}, claimIds: [] };
      await assert.rejects(ledger.addJob(other.held, again), /is in the ledger already/);
    });
  });
});
