import assert from 'node:assert/strict';
import { type DeadLetterOptions, DeadLetters } from '../../src/database/dead-letters.ts';
import { Database } from '../../src/database/pool.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { aLetter } from './letter-samples.ts';

describe('dead letters', () => {
  let at: TestDatabase;
  let db: Database;
  let tables = 0;

  before(async () => {
    at = await testDatabase();
    db = new Database(configOf(at));
  });
  after(() => db.close());

  function newTable(): string {
    tables += 1;
    return `letters_${tables}`;
  }

  function lettersIn(table: string, options: Partial<DeadLetterOptions> = {}, on = db): DeadLetters {
    return new DeadLetters(on, { table, createTable: true, ...options });
  }

  async function rows(sql: string): Promise<Record<string, unknown>[]> {
    return (await db.query(sql)).rows;
  }

  it('are stored with all that is known of them', async () => {
    const table = newTable();
    const letter = aLetter();
    assert.deepEqual(await lettersIn(table).store([letter]), { stored: 1, alreadyThere: 0 });
    const [row] = await rows(`SELECT * FROM ${table}`);
    const { created_at, ...stored } = row ?? {};
    assert.ok(created_at instanceof Date);
    assert.deepEqual(stored, {
      record_data: letter.recordData,
      error_message: letter.errorMessage,
      job_id: letter.jobId,
      id: '1',
      key: letter.key,
      run_id: 'run-1',
      load_name: 'nightly',
      object: 'Contact',
      operation: 'insert',
      external_id_field: 'External_Id__c',
      error_code: 'DUPLICATE_VALUE',
      error_category: 'DUPLICATE_VALUE',
      retryable: false,
      attempts: letter.attempts,
      status: 'dead',
      claim_id: null,
      replay_of: null,
      original_data: null,
      changed_by: null,
      changed_at: null,
      discard_reason: null,
    });
  });

  it('are stored once, by their key, from whatever batch', async () => {
    const table = newTable();
    const [first, second] = [aLetter(), aLetter()];
    const letters = lettersIn(table);
    assert.deepEqual(await letters.store([first]), { stored: 1, alreadyThere: 0 });
    assert.deepEqual(await letters.store([first, second, second]), { stored: 1, alreadyThere: 2 });
    assert.deepEqual(await letters.store([]), { stored: 0, alreadyThere: 0 });
    const batch = Array.from({ length: 500 }, () => aLetter());
    const results = await Promise.all([1, 2, 3, 4].map(() => lettersIn(table).store(batch)));
    assert.equal(
      results.reduce((sum, { stored }) => sum + stored, 0),
      500,
    );
    assert.deepEqual(await rows(`SELECT count(*)::int AS n FROM ${table}`), [{ n: 502 }]);
  });

  it('make their table once, however many processes begin at the same moment', async () => {
    const table = newTable();
    await Promise.all(Array.from({ length: 8 }, () => lettersIn(table).store([aLetter()])));
    assert.deepEqual(await rows(`SELECT count(*)::int AS n FROM ${table}`), [{ n: 8 }]);
  });

  it('hold whatever a message can be', async () => {
    const table = newTable();
    const payloads: unknown[] = [null, 'a text', 42, true, ['a', 1], { deep: { a: [null] } }, ''];
    await lettersIn(table).store(
      payloads.map((recordData) => aLetter({ recordData, object: null, jobId: null })),
    );
    await lettersIn(table).store([
      aLetter({ recordData: undefined }),
      aLetter({ recordData: { n: 12345678901234567890n, at: new Date(0), bytes: Buffer.from('é') } }),
    ]);
    const stored = await rows(`SELECT record_data FROM ${table} ORDER BY id`);
    assert.deepEqual(
      stored.map(({ record_data }) => record_data),
      [...payloads, null, { n: '12345678901234567890', at: '1970-01-01T00:00:00.000Z', bytes: 'w6k=' }],
    );
  });

  it('lose no letter to characters that PostgreSQL cannot hold, and say so', async () => {
    const table = newTable();
    await lettersIn(table).store([
      aLetter({ recordData: { 'k\0': 'a\0b', half: 'x\ud800y', whole: '😀' }, errorMessage: 'E\0' }),
    ]);
    const [row] = await rows(`SELECT record_data, error_message FROM ${table}`);
    assert.deepEqual(row, {
      record_data: { 'k\ufffd': 'a\ufffdb', half: 'x\ufffdy', whole: '😀' },
      error_message:
        'E\ufffd (Characters of the record that PostgreSQL cannot hold were replaced by U+FFFD.)',
    });
  });

  it('stay values, whatever is in them', async () => {
    const table = '"my ""letters"; DROP"';
    await assert.rejects(lettersIn(table).store([aLetter()]), {
      code: 'CONFIG_INVALID',
      message: /is no name of a table/,
    });
    const quoted = '"my ""letters""; DROP TABLE x; --"';
    const evil = "'); DROP TABLE letters; --";
    await lettersIn(quoted).store([aLetter({ key: evil, errorMessage: evil, recordData: { [evil]: evil } })]);
    const found = await rows(`SELECT key, error_message, record_data FROM ${quoted}`);
    assert.deepEqual(found, [{ key: evil, error_message: evil, record_data: { [evil]: evil } }]);
  });

  it('may be in any schema', async () => {
    await db.query('CREATE SCHEMA "Sync.1"');
    await lettersIn('"Sync.1".Letters').store([aLetter()]);
    assert.equal((await rows('SELECT FROM "Sync.1"."Letters"')).length, 1);
  });

  describe('of a record that was replayed', () => {
    it('refer to the letter before, found by external id or Id', async () => {
      const table = newTable();
      const letters = lettersIn(table);
      const byId = { operation: 'update', externalIdField: null };
      await letters.store([
        aLetter({ recordData: { External_Id__c: 'C-1' } }),
        aLetter({ recordData: { External_Id__c: 'C-2' } }),
        aLetter({ recordData: { Id: '003A' }, ...byId }),
        aLetter({ recordData: { External_Id__c: 'C-1' }, object: 'Account' }),
      ]);
      await db.query(`UPDATE ${table} SET status = 'replaying' WHERE id IN (1, 4)`);
      await db.query(`UPDATE ${table} SET status = 'replayed' WHERE id = 3`);
      await letters.store([
        aLetter({ recordData: { External_Id__c: 'C-1', LastName: 'mended' } }),
        aLetter({ recordData: { External_Id__c: 'C-2' } }),
        aLetter({ recordData: { Id: '003A' }, ...byId }),
        aLetter({ recordData: { LastName: 'without any' } }),
      ]);
      const found = await rows(`SELECT replay_of FROM ${table} WHERE id > 4 ORDER BY id`);
      assert.deepEqual(
        found.map(({ replay_of }) => replay_of),
        ['1', null, '3', null],
      );
      await db.query(`UPDATE ${table} SET status = 'replaying' WHERE id = 5`);
      await letters.store([aLetter({ recordData: { External_Id__c: 'C-1' } })]);
      assert.deepEqual(await rows(`SELECT replay_of FROM ${table} ORDER BY id DESC LIMIT 1`), [
        { replay_of: '5' },
      ]);
    });

    it('are found without reading the whole table', async () => {
      const table = newTable();
      const letters = lettersIn(table);
      await letters.prepare();
      await db.query(`
        INSERT INTO ${table} (record_data, object, status)
        SELECT jsonb_build_object('External_Id__c', 'R-' || g), 'Contact', 'replayed' FROM generate_series(1, 20000) AS g`);
      await db.query(`ANALYZE ${table}`);
      const started = performance.now();
      const batch = Array.from({ length: 2_000 }, (_, index) =>
        aLetter({ recordData: { External_Id__c: `R-${index + 1}` } }),
      );
      await letters.store(batch);
      // 2,000 times reading 20,000 rows takes minutes.
      assert.ok(performance.now() - started < 10_000);
      assert.deepEqual(await rows(`SELECT count(replay_of)::int AS n FROM ${table}`), [{ n: 2_000 }]);
    });
  });

  describe('in a table of the MuleSoft flow', () => {
    it('are stored in its four columns, and it is said', async () => {
      const table = newTable();
      await db.query(`CREATE TABLE ${table} (
        id serial PRIMARY KEY, record_data text, error_message varchar(20), job_id varchar(18),
        created_at timestamp, processed boolean DEFAULT false)`);
      let said = 0;
      const letters = lettersIn(table, {
        onMuleTable: () => {
          said += 1;
        },
      });
      assert.deepEqual(await letters.prepare(), { isMule: true });
      const letter = aLetter({ recordData: { a: 'x\0' } });
      assert.deepEqual(await letters.store([letter, letter]), { stored: 2, alreadyThere: 0 });
      assert.equal(said, 1);
      const [row] = await rows(
        `SELECT record_data, error_message, job_id, created_at IS NOT NULL AS dated FROM ${table}`,
      );
      assert.deepEqual(row, {
        record_data: '{"a":"x\ufffd"}',
        error_message: 'DUPLICATE_VALUE:dupl',
        job_id: '750000000000001AAA',
        dated: true,
      });
    });

    it('may be json or jsonb there', async () => {
      for (const type of ['json', 'jsonb']) {
        const table = newTable();
        await db.query(
          `CREATE TABLE ${table} (record_data ${type}, error_message text, job_id text, created_at timestamptz)`,
        );
        await lettersIn(table).store([aLetter({ recordData: { a: [1] } })]);
        assert.deepEqual(await rows(`SELECT record_data FROM ${table}`), [{ record_data: { a: [1] } }]);
      }
    });
  });

  describe('refuse', () => {
    it('a table that is none for them', async () => {
      const table = newTable();
      await db.query(`CREATE TABLE ${table} (id int, job_id text)`);
      await assert.rejects(lettersIn(table).prepare(), {
        code: 'CONFIG_INVALID',
        message: /lacks record_data, error_message, created_at/,
      });
    });

    it('a missing table that they may not make', async () => {
      const letters = lettersIn('no_such_table', { createTable: false });
      await assert.rejects(letters.store([aLetter()]), {
        code: 'CONFIG_INVALID',
        message: /There is no table no_such_table/,
      });
      await db.query(
        'CREATE TABLE no_such_table (record_data text, error_message text, job_id text, created_at date)',
      );
      assert.deepEqual(
        await letters.store([aLetter()]),
        { stored: 1, alreadyThere: 0 },
        'once it is there, all is well',
      );
    });
  });

  describe('while the database is away', () => {
    it('wait, and are stored once though the answer was lost', async () => {
      const proxy = await TcpProxy.start(at);
      const shaky = new Database({ ...configOf(at), port: proxy.port });
      const table = newTable();
      const waits: string[] = [];
      const letters = lettersIn(table, { onWait: ({ message }) => waits.push(message) }, shaky);
      await letters.prepare();
      const lost = proxy.loseAnswer((bytes) => bytes.includes('INSERT 0 2', 0, 'latin1'));
      const result = await letters.store([aLetter(), aLetter()]);
      await lost;
      assert.deepEqual(result, { stored: 0, alreadyThere: 2 });
      assert.equal(waits.length, 1);
      assert.deepEqual(await rows(`SELECT count(*)::int AS n FROM ${table}`), [{ n: 2 }]);
      await shaky.close();
      await proxy.stop();
    });

    it('stop to wait when they are told to', async () => {
      const proxy = await TcpProxy.start(at);
      const shaky = new Database({ ...configOf(at), port: proxy.port });
      proxy.cut();
      const stop = new AbortController();
      const letters = lettersIn(newTable(), { onWait: () => stop.abort(new Error('redeploy')) }, shaky);
      await assert.rejects(letters.store([aLetter()], stop.signal), /redeploy/);
      await shaky.close();
      await proxy.stop();
    });
  });
});
