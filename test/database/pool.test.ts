import assert from 'node:assert/strict';
import { type EmbeddedPostgres, startPostgres } from '../../sandbox/postgres/embedded-postgres.ts';
import type { DatabaseConfig } from '../../src/database/database-config.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

describe('pool of connections', () => {
  let server: EmbeddedPostgres;
  const opened: Database[] = [];

  before(async () => {
    server = await startPostgres({ fsync: false });
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((db) => db.close(0)));
  });
  after(() => server.stop());

  function open(change: Partial<DatabaseConfig> = {}): Database {
    const db = new Database(configOf(server, change));
    opened.push(db);
    return db;
  }

  const sleepers =
    "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";

  describe('pool', () => {
    it('has at most so many connections, and serves all who wait', async () => {
      const db = open({ poolSize: 2 });
      const pids = await Promise.all(
        Array.from({ length: 20 }, () => db.query('SELECT pg_backend_pid() AS pid, pg_sleep(0.005)')),
      );
      assert.ok(new Set(pids.map(({ rows }) => rows[0]?.pid)).size <= 2);
    });

    it('refuses everybody who waits when there is no server', async () => {
      const db = open({ poolSize: 2, port: 1 });
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => db.query('SELECT 1')));
      assert.ok(outcomes.every(({ status }) => status === 'rejected'));
    });

    it('goes on after the server was restarted', async () => {
      const db = open();
      await Promise.all([1, 2, 3].map(() => db.query('SELECT pg_sleep(0.01)')));
      await server.restart();
      const again = () => db.query('SELECT 1 AS n').catch((error) => error);
      await until(async () => (await again()).rows?.[0]?.n === 1, 'a new connection is there');
    });

    it('says that the connection broke in the middle of a statement', async () => {
      const db = open();
      const running = assert.rejects(db.query('SELECT pg_sleep(60)'), {
        code: 'DB_UNAVAILABLE',
        sqlState: '57P01',
        retryable: true,
      });
      await until(async () => (await open().query(sleepers)).rows.length === 1, 'the statement runs');
      await open().query(`SELECT pg_terminate_backend(pid) FROM (${sleepers}) AS s`);
      await running;
    });

    it('hands no connection on that was left in a transaction', async () => {
      const db = open({ poolSize: 1 });
      await db.withSession((session) => session.query('BEGIN'));
      const { rows } = await db.query('SELECT count(*)::int AS n FROM pg_stat_activity WHERE state LIKE $1', [
        'idle in%',
      ]);
      assert.deepEqual(rows, [{ n: 0 }]);
    });

    it('waits for no answer for ever while it connects', async () => {
      const proxy = await TcpProxy.start(server);
      const db = open({ port: proxy.port });
      proxy.cut();
      await assert.rejects(db.query('SELECT 1'), { code: 'DB_UNAVAILABLE', retryable: true });
      await proxy.stop();
    });
  });

  describe('abort', () => {
    it('cancels the statement on the server', async () => {
      const db = open({ poolSize: 1 });
      const stop = new AbortController();
      const running = assert.rejects(db.query('SELECT pg_sleep(60)', [], stop.signal), /enough/);
      await until(async () => (await open().query(sleepers)).rows.length === 1, 'the statement runs');
      stop.abort(new Error('enough'));
      await running;
      await until(async () => (await open().query(sleepers)).rows.length === 0, 'it is gone from the server');
      assert.deepEqual((await db.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    });

    it('ends the wait for a connection, of the one who was told alone', async () => {
      const db = open({ poolSize: 1 });
      const release = Promise.withResolvers<void>();
      const busy = db.withSession(() => release.promise);
      const stop = new AbortController();
      const waiting = assert.rejects(db.query('SELECT 1', [], stop.signal), /enough/);
      const patient = db.query('SELECT 2 AS n');
      stop.abort(new Error('enough'));
      await waiting;
      release.resolve();
      await busy;
      assert.deepEqual((await patient).rows, [{ n: 2 }]);
    });

    it('cuts a connection that has fallen silent', async () => {
      const proxy = await TcpProxy.start(server);
      const db = open({ port: proxy.port, poolSize: 1 });
      await db.test();
      proxy.swallow();
      await assert.rejects(db.test(AbortSignal.timeout(50)), { name: 'TimeoutError' });
      assert.equal((await db.test()).user, server.user);
      await proxy.stop();
    });

    it('that came before, sends nothing', async () => {
      await assert.rejects(
        open({ port: 1 }).query('SELECT 1', [], AbortSignal.abort(new Error('enough'))),
        /enough/,
      );
    });
  });

  describe('close', () => {
    it('lets running statements end, and takes no new ones', async () => {
      const db = open();
      await db.query('SELECT 1');
      const running = db.query('SELECT pg_sleep(0.1), 1 AS n');
      await until(async () => (await open().query(sleepers)).rows.length === 1, 'the statement runs');
      const closing = db.close();
      await assert.rejects(db.query('SELECT 1'), { code: 'DB_UNAVAILABLE', message: /were closed/ });
      assert.equal((await running).rows[0]?.n, 1);
      await closing;
    });

    it('waits for those who use it, and takes their statements', async () => {
      const db = open();
      const done = [db.use(), db.use()];
      const closing = db.close();
      await db.query('SELECT 1');
      done[0]?.();
      await db.query('SELECT 1');
      done[1]?.();
      await closing;
      await assert.rejects(db.query('SELECT 1'), { code: 'DB_UNAVAILABLE', message: /were closed/ });
    });

    it('waits for nobody longer than its time', async () => {
      const db = open();
      db.use();
      await db.close(50);
      await assert.rejects(db.query('SELECT 1'), { code: 'DB_UNAVAILABLE', message: /were closed/ });
    });

    it('cuts what does not end in time, and leaves no connection', async () => {
      const db = open({ poolSize: 1 });
      const running = assert.rejects(db.query('SELECT pg_sleep(60)'), { code: 'DB_UNAVAILABLE' });
      const waiting = assert.rejects(db.query('SELECT 1'), { code: 'DB_UNAVAILABLE' });
      const own = await db.openSession('test');
      await until(async () => (await open().query(sleepers)).rows.length === 1, 'the statement runs');
      await db.close(50);
      await Promise.all([running, waiting]);
      assert.equal(own.lost.aborted, true);
      await db.close();
    });
  });
});
