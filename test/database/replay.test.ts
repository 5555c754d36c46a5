import assert from 'node:assert/strict';
import { systemClock } from '../../src/clock.ts';
import { DeadLetters, type NewDeadLetter } from '../../src/database/dead-letters.ts';
import { Database } from '../../src/database/pool.ts';
import { type Claim, Replay, type ReplayFilter } from '../../src/database/replay.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { aLetter } from './letter-samples.ts';

const ANY: ReplayFilter = { category: undefined, errorCode: undefined, jobId: undefined };

describe('replay of dead letters', () => {
  let at: TestDatabase;
  let db: Database;
  let table: string;
  let tables = 0;
  const replays: Replay[] = [];

  before(async () => {
    at = await testDatabase();
    db = new Database(configOf(at, { poolSize: 8 }));
  });
  after(() => db.close());
  beforeEach(() => {
    tables += 1;
    table = `letters_${tables}`;
  });
  afterEach(() => {
    for (const replay of replays.splice(0)) replay.close();
  });

  function aReplay(on = db): Replay {
    const replay = new Replay(on, table, systemClock);
    replays.push(replay);
    return replay;
  }

  function store(letters: Partial<NewDeadLetter>[]): Promise<unknown> {
    const batch = letters.map((letter, index) => aLetter({ recordData: { n: index + 1 }, ...letter }));
    return new DeadLetters(db, { table, createTable: true }).store(batch);
  }

  async function claimAll(replay: Replay, filter = { ...ANY }, size = 10): Promise<Claim[]> {
    const claims: Claim[] = [];
    for (
      let claim = await replay.claim(filter, size);
      claim !== undefined;
      claim = await replay.claim(filter, size)
    ) {
      claims.push(claim);
    }
    return claims;
  }

  const numbers = (claim: Claim) => claim.records.map(({ n }) => n);

  async function statuses(): Promise<Record<string, number>> {
    const { rows } = await db.query<{ status: string; n: number }>(
      `SELECT status, count(*)::int AS n FROM ${table} GROUP BY status ORDER BY status`,
    );
    return Object.fromEntries(rows.map(({ status, n }) => [status, n]));
  }

  it('claims oldest first, in batches of one object, operation and external id field', async () => {
    const upsert = { operation: 'upsert', externalIdField: 'Key__c' };
    await store([
      {},
      { object: 'Account' },
      {},
      upsert,
      {},
      { object: 'Account', externalIdField: null },
      upsert,
    ]);
    const claims = await claimAll(aReplay(), { ...ANY }, 2);
    assert.deepEqual(
      claims.map((claim) => [claim.object, claim.operation, claim.externalIdField, ...numbers(claim)]),
      [
        ['Account', 'insert', 'External_Id__c', 2],
        ['Account', 'insert', null, 6],
        ['Contact', 'insert', 'External_Id__c', 1, 3],
        ['Contact', 'insert', 'External_Id__c', 5],
        ['Contact', 'upsert', 'Key__c', 4, 7],
      ],
    );
    assert.equal(new Set(claims.map(({ id }) => id)).size, claims.length);
    assert.deepEqual(await statuses(), { replaying: 7 });
  });

  it('takes what the filter names', async () => {
    await store([
      { errorCategory: 'LOCK', errorCode: 'UNABLE_TO_LOCK_ROW', jobId: '750A' },
      { errorCategory: 'VALIDATION', errorCode: 'REQUIRED_FIELD_MISSING', jobId: '750A' },
      { errorCategory: 'VALIDATION', errorCode: 'INVALID_EMAIL_ADDRESS', jobId: '750B' },
    ]);
    const found = async (filter: Partial<ReplayFilter>) => {
      const replay = aReplay();
      const claims = await claimAll(replay, { ...ANY, ...filter });
      for (const { id } of claims) await replay.release(id);
      return claims.flatMap(numbers);
    };
    assert.deepEqual(await found({ category: 'VALIDATION' }), [2, 3]);
    assert.deepEqual(await found({ errorCode: 'INVALID_EMAIL_ADDRESS' }), [3]);
    assert.deepEqual(await found({ jobId: '750A' }), [1, 2]);
    assert.deepEqual(await found({ jobId: '750A', category: 'VALIDATION' }), [2]);
    assert.deepEqual(await found({ category: "x' OR true --" }), []);
    assert.deepEqual(await found({}), [1, 2, 3]);
  });

  it('sends the record as it was mended, and leaves discarded letters and messages of a Catch node alone', async () => {
    await store([{}, {}, { object: null, operation: null }, { recordData: 'a text' }]);
    await db.query(`UPDATE ${table} SET record_data = '{"n": "mended"}' WHERE id = 1`);
    await db.query(`UPDATE ${table} SET status = 'discarded' WHERE id = 2`);
    assert.deepEqual((await claimAll(aReplay())).flatMap(numbers), ['mended']);
  });

  it('settles a claim: replayed, with an attempt more, once', async () => {
    await store([{}, {}]);
    const replay = aReplay();
    const [claim] = await claimAll(replay);
    await replay.settle(claim?.id ?? '');
    await replay.settle(claim?.id ?? '');
    await replay.release(claim?.id ?? '');
    assert.deepEqual(await statuses(), { replayed: 2 });
    const { rows } = await db.query(`SELECT attempts, claim_id, changed_at FROM ${table} WHERE id = 1`);
    const [first, second, third] = rows[0]?.attempts ?? [];
    assert.equal(first.errorCode, 'DUPLICATE_VALUE');
    assert.equal(second.via, 'replay');
    assert.equal(second.claimId, claim?.id);
    assert.ok(Math.abs(Date.parse(second.at) - Date.now()) < 60_000);
    assert.equal(third, undefined);
    assert.equal(rows[0]?.claim_id, claim?.id, 'the evidence stays');
  });

  it('releases a claim: dead as before, for the next pass', async () => {
    await store([{}, {}]);
    const replay = aReplay();
    const filter = { ...ANY };
    const [claim] = await claimAll(replay, filter);
    await replay.release(claim?.id ?? '');
    assert.deepEqual(await statuses(), { dead: 2 });
    assert.equal(await replay.claim(filter, 10), undefined, 'not in the same pass');
    assert.deepEqual((await claimAll(replay)).flatMap(numbers), [1, 2]);
  });

  it('leaves what fails again meanwhile to the next pass', async () => {
    await store([{}, {}, {}]);
    const replay = aReplay();
    const filter = { ...ANY };
    const first = await replay.claim(filter, 2);
    await store([{ recordData: { n: 'again' } }]);
    assert.deepEqual(numbers(first as Claim), [1, 2]);
    assert.deepEqual((await claimAll(replay, filter)).flatMap(numbers), [3]);
    assert.deepEqual((await claimAll(replay)).flatMap(numbers), ['again']);
  });

  it('shares the letters among replays at the same time, each letter in one claim', async () => {
    await store(Array.from({ length: 500 }, () => ({})));
    const passes = await Promise.all([1, 2, 3, 4].map(() => claimAll(aReplay(), { ...ANY }, 7)));
    const sent = passes.flat().flatMap(numbers) as number[];
    assert.equal(new Set(sent).size, sent.length);
    assert.deepEqual(
      await statuses(),
      sent.length === 500 ? { replaying: 500 } : { dead: 500 - sent.length, replaying: sent.length },
    );
    assert.ok(passes.filter((claims) => claims.length > 0).length > 1);
  });

  describe('open claims', () => {
    it('are one’s own, oldest first, until they end', async () => {
      await store([{}, {}, {}]);
      const replay = aReplay();
      const claims = await claimAll(replay, { ...ANY }, 1);
      const ids = claims.map(({ id }) => id);
      assert.deepEqual(await replay.openClaims(), ids);
      await replay.settle(ids[0] ?? '');
      await replay.release(ids[1] ?? '');
      assert.deepEqual(await replay.openClaims(), [ids[2]]);
    });

    it('of another replay are none of ours while it is at work', async () => {
      await store([{}, {}]);
      const [worker, other] = [aReplay(), aReplay()];
      const [claim] = await claimAll(worker);
      assert.deepEqual(await other.openClaims(), []);
      worker.close();
      await until(async () => (await other.openClaims()).length === 1, 'its claim is for others to judge');
      assert.deepEqual(await other.openClaims(), [claim?.id]);
      await other.release(claim?.id ?? '');
      assert.deepEqual((await claimAll(other)).flatMap(numbers), [1, 2]);
    });

    it('of another replay are for others to judge when its process has gone', async () => {
      await store([{}]);
      const dying = new Database(configOf(at));
      const [claim] = await claimAll(aReplay(dying));
      await dying.close(0);
      const other = aReplay();
      await until(async () => (await other.openClaims()).length === 1, 'its lock is free');
      assert.deepEqual(await other.openClaims(), [claim?.id]);
    });

    it('stay a living replay’s own though its connection breaks', async () => {
      await store([{}]);
      const proxy = await TcpProxy.start(at);
      const shaky = new Database({ ...configOf(at), port: proxy.port });
      const worker = aReplay(shaky);
      await claimAll(worker);
      proxy.cut();
      proxy.heal();
      const other = aReplay();
      await until(
        async () => proxy.connections > 0 && (await other.openClaims()).length === 0,
        'it is seen alive again',
      );
      worker.close();
      await shaky.close();
      await proxy.stop();
    });

    it('leave no connection behind when they have ended', async () => {
      await store([{}]);
      const replay = aReplay();
      const [claim] = await claimAll(replay);
      await replay.settle(claim?.id ?? '');
      const sessions =
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% replay %'";
      await until(async () => (await db.query(sessions)).rows.length === 0, 'the lock’s session is closed');
      await store([{ recordData: { n: 'later' } }]);
      assert.deepEqual((await claimAll(replay)).flatMap(numbers), ['later'], 'and it can claim again');
    });
  });

  it('finds the letters of a claim whose answer was lost', async () => {
    await store(Array.from({ length: 5 }, () => ({})));
    const proxy = await TcpProxy.start(at);
    const shaky = new Database({ ...configOf(at), port: proxy.port });
    const replay = aReplay(shaky);
    const filter = { ...ANY };
    const first = await replay.claim(filter, 1);
    const lost = proxy.loseAnswer((bytes) => bytes.includes('SELECT 3', 0, 'latin1'));
    const second = await replay.claim(filter, 3);
    await lost;
    assert.deepEqual(
      [first, second].map((claim) => numbers(claim as Claim)),
      [[1], [2, 3, 4]],
    );
    assert.deepEqual((await claimAll(replay, filter)).flatMap(numbers), [5]);
    replay.close();
    await shaky.close();
    await proxy.stop();
  });

  it('refuses a table that is missing, or of the MuleSoft flow', async () => {
    await assert.rejects(aReplay().check(), {
      code: 'CONFIG_INVALID',
      message: /There is no table letters_/,
    });
    await db.query(
      `CREATE TABLE ${table} (record_data jsonb, error_message text, job_id text, created_at timestamptz)`,
    );
    await assert.rejects(aReplay().claim({ ...ANY }, 1), {
      code: 'CONFIG_INVALID',
      message: /columns of the MuleSoft flow only/,
    });
  });
});
