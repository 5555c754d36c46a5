import assert from 'node:assert/strict';
import type { DatabaseConfig } from '../../src/database/database-config.ts';
import { asDatabaseError, DatabaseError } from '../../src/database/database-error.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';

describe('errors of a database', () => {
  let server: TestDatabase;
  const opened: Database[] = [];

  before(async () => {
    server = await testDatabase();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((db) => db.close(0)));
  });

  function open(change: Partial<DatabaseConfig> = {}): Database {
    const db = new Database(configOf(server, change));
    opened.push(db);
    return db;
  }

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

    const foreign = [
      'syntaxe en entrée invalide pour le type integer : « Secret »',
      'ungültige Eingabesyntax für Typ integer: „Secret“',
      '無効な入力構文："Secret"',
      'type integer: “Secret”',
    ];
    for (const message of foreign) {
      it(`holds no value in other languages: ${message.slice(0, 12)}…`, () => {
        const error = asDatabaseError(
          Object.assign(new Error(message), { code: '22P02' }),
          open().address,
        ) as Error;
        assert.match(error.message, /22P02/);
        assert.doesNotMatch(`${error.message} ${error.cause} ${error.stack}`, /Secret/);
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
});
