import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type EmbeddedPostgres, startPostgres } from '../../sandbox/postgres/embedded-postgres.ts';
import type { DatabaseConfig } from '../../src/database/database-config.ts';
import { DatabaseError } from '../../src/database/database-error.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const tls = (name: string) => readFileSync(new URL(`./fixtures/tls/${name}`, import.meta.url), 'utf8');

describe('database', () => {
  let server: EmbeddedPostgres;
  const opened: Database[] = [];

  before(async () => {
    server = await startPostgres({ fsync: false, tls: { cert: tls('server.crt'), key: tls('server.key') } });
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

  describe('connection', () => {
    it('says what answered', async () => {
      const found = await open().test();
      assert.match(found.version, /^\d+/);
      assert.deepEqual(
        { ...found, version: '' },
        { version: '', user: 'sandbox', database: 'sandbox', schema: 'public' },
      );
    });

    const refusals: [string, Partial<DatabaseConfig>, RegExp, boolean][] = [
      [
        'a wrong password',
        { password: 'wrong' },
        /the password of user "sandbox" is wrong\. Correct user and password\./,
        false,
      ],
      ['no password', { password: '' }, /asks for a password, and there is none/, false],
      ['an unknown user', { user: 'nobody-here' }, /the password of user "nobody-here" is wrong/, false],
      [
        'an unknown database',
        { database: 'missing' },
        /there is no database "missing"\. Correct the name/,
        false,
      ],
      [
        'a port where nothing listens',
        { port: 1 },
        /127\.0\.0\.1:1\/sandbox cannot be used: nothing listens there/,
        true,
      ],
      [
        'an unknown host',
        { host: 'no-such-host.invalid' },
        /the host name (is not known|cannot be looked up)/,
        true,
      ],
    ];
    for (const [what, change, message, retryable] of refusals) {
      it(`refuses ${what} in words`, async () => {
        await assert.rejects(open(change).test(), (error) => {
          assert.ok(error instanceof DatabaseError);
          assert.equal(error.code, 'DB_UNAVAILABLE');
          assert.match(error.message, message);
          assert.equal(error.retryable, retryable);
          assert.doesNotMatch(JSON.stringify([error.message, error.cause]), new RegExp(server.password));
          return true;
        });
      });
    }

    it('says that the user may not connect', async () => {
      const admin = open();
      await admin.query("CREATE ROLE outsider LOGIN PASSWORD 'outsider'");
      await admin.query('CREATE DATABASE closed');
      await admin.query('REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
      const db = open({ user: 'outsider', password: 'outsider', database: 'closed' });
      await assert.rejects(db.test(), {
        code: 'DB_UNAVAILABLE',
        sqlState: '42501',
        retryable: false,
        message: /permission denied for database "closed"/,
      });
    });

    it('takes no setting from the environment', async () => {
      const names = {
        PGHOST: '203.0.113.1',
        PGUSER: 'x',
        PGPASSWORD: 'x',
        PGDATABASE: 'x',
        PGSSLMODE: 'verify-full',
      };
      Object.assign(process.env, names);
      try {
        assert.equal((await open().test()).user, 'sandbox');
      } finally {
        for (const name of Object.keys(names)) delete process.env[name];
      }
    });

    it('works whatever the server’s settings of dates are', async () => {
      await open().query('ALTER ROLE sandbox SET datestyle TO german');
      try {
        const { rows } = await open().query(
          "SELECT timestamptz '2026-03-01 12:00+00' AS at, date '2026-03-01' AS day",
        );
        assert.deepEqual(rows, [{ at: new Date('2026-03-01T12:00:00Z'), day: '2026-03-01' }]);
      } finally {
        await open().query('ALTER ROLE sandbox RESET datestyle');
      }
    });
  });

  describe('TLS', () => {
    const encrypted = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    const ca = tls('ca.crt');

    it('is off with disable', async () => {
      assert.deepEqual((await open().query(encrypted)).rows, [{ ssl: false }]);
    });

    it('is on with require, whatever the certificate', async () => {
      assert.deepEqual((await open({ ssl: 'require' }).query(encrypted)).rows, [{ ssl: true }]);
    });

    it('checks authority and host name with verify-full', async () => {
      const db = open({ ssl: 'verify-full', host: 'localhost', tls: { ca } });
      assert.deepEqual((await db.query(encrypted)).rows, [{ ssl: true }]);
    });

    it('checks the given server name in place of the host', async () => {
      const db = open({ ssl: 'verify-full', tls: { ca, servername: 'db.example.test' } });
      assert.deepEqual((await db.query(encrypted)).rows, [{ ssl: true }]);
    });

    it('refuses an unknown authority', async () => {
      await assert.rejects(open({ ssl: 'verify-full', host: 'localhost' }).test(), {
        code: 'DB_UNAVAILABLE',
        retryable: false,
        message: /signed by an unknown authority\. Give the CA certificate/,
      });
    });

    it('refuses another host name, an address too', async () => {
      await assert.rejects(open({ ssl: 'verify-full', tls: { ca } }).test(), {
        code: 'DB_UNAVAILABLE',
        retryable: false,
        message: /its certificate is for another host name/,
      });
    });

    it('says so when the server does not offer it', async () => {
      const plain = await startPostgres({ fsync: false });
      const db = new Database(configOf(plain, { ssl: 'require' }));
      await assert.rejects(db.test(), {
        code: 'DB_UNAVAILABLE',
        message: /does not offer SSL.*SSL mode "disable"/,
      });
      await db.close();
      await plain.stop();
    });
  });

  describe('error of a statement', () => {
    it('has the server’s code, message, hint and place', async () => {
      await assert.rejects(open().query('SELECT lenght(relname) FROM pg_class'), {
        code: 'DB_QUERY_FAILED',
        sqlState: '42883',
        retryable: false,
        message:
          /function lenght\(name\) does not exist \(SQLSTATE 42883\)\. At character 8 of the SQL\. Hint: /,
      });
    });

    const leaks: [string, string][] = [
      ['a duplicate', "INSERT INTO people VALUES (1, 'Secret Person')"],
      ['a missing value', "INSERT INTO people VALUES (NULL, 'Secret Person')"],
      ['a violated check', "INSERT INTO people VALUES (-1, 'Secret Person')"],
      ['a bad number', "SELECT 'Secret Person'::int"],
      ['a bad time', "SELECT 'Secret Person'::timestamptz"],
      ['a bad JSON text', `SELECT '{"name": Secret Person}'::jsonb`],
      ['a bad value of an enum', "SELECT 'Secret Person'::mood"],
    ];
    for (const [what, sql] of leaks) {
      it(`holds no value of a row: ${what}`, async () => {
        const db = open();
        await db.query(`
          DROP TABLE IF EXISTS people; DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('glad');
          CREATE TABLE people (id int PRIMARY KEY CHECK (id > 0), name text UNIQUE);
          INSERT INTO people VALUES (1, 'Secret Person')`);
        await assert.rejects(db.query(sql), (error) => {
          assert.ok(error instanceof DatabaseError);
          assert.equal(error.code, 'DB_QUERY_FAILED');
          const cause = error.cause as Error;
          const all = [error.message, error.stack, cause.message, cause.stack, JSON.stringify(cause)].join();
          assert.doesNotMatch(all, /Secret/);
          return true;
        });
      });
    }

    it('leaves the connection usable', async () => {
      const db = open({ poolSize: 1 });
      await assert.rejects(db.query('SELECT 1 / 0'), { sqlState: '22012' });
      await assert.rejects(
        db.transaction((session) => session.query('SELECT 1 / 0')),
        { sqlState: '22012' },
      );
      assert.deepEqual((await db.query('SELECT 1 AS n')).rows, [{ n: 1 }]);
    });

    it('may be repeated after a deadlock', async () => {
      const db = open();
      await db.query(
        'DROP TABLE IF EXISTS pair; CREATE TABLE pair (id int PRIMARY KEY); INSERT INTO pair VALUES (1), (2)',
      );
      const locked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const lockBoth = (first: number) =>
        db.transaction(async (session) => {
          await session.query('SELECT FROM pair WHERE id = $1 FOR UPDATE', [first]);
          locked[first - 1]?.resolve();
          await locked[2 - first]?.promise;
          await session.query('SELECT FROM pair WHERE id = $1 FOR UPDATE', [3 - first]);
        });
      const outcomes = await Promise.allSettled([lockBoth(1), lockBoth(2)]);
      const reasons = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
      assert.deepEqual(
        reasons.map(({ sqlState, retryable }) => ({ sqlState, retryable })),
        [{ sqlState: '40P01', retryable: true }],
      );
    });
  });

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
