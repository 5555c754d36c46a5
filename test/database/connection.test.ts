import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type EmbeddedPostgres, startPostgres } from '../../sandbox/postgres/embedded-postgres.ts';
import type { DatabaseConfig } from '../../src/database/database-config.ts';
import { DatabaseError } from '../../src/database/database-error.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf } from '../support/postgres.ts';

const tls = (name: string) => readFileSync(new URL(`./fixtures/tls/${name}`, import.meta.url), 'utf8');

describe('connection to a database', () => {
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

    describe('beside PG… variables for something else', () => {
      const names = {
        PGHOST: '203.0.113.1',
        PGUSER: 'x',
        PGPASSWORD: 'x',
        PGDATABASE: 'x',
        PGSSLMODE: 'verify-full',
        PGSSLNEGOTIATION: 'direct',
        PGOPTIONS: '-c search_path=pg_catalog',
        PGREPLICATION: 'true',
      };
      before(() => Object.assign(process.env, names));
      after(() => {
        for (const name of Object.keys(names)) delete process.env[name];
      });

      it('takes no setting from them', async () => {
        const { user, schema } = await open().test();
        assert.deepEqual({ user, schema }, { user: 'sandbox', schema: 'public' });
      });

      it('sends no password that it was not given', async () => {
        process.env.PGPASSWORD = server.password;
        await assert.rejects(open({ password: '' }).test(), {
          message: /asks for a password, and there is none/,
        });
      });
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
});
