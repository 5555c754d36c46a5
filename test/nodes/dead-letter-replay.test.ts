import assert from 'node:assert/strict';
import deadLetterReplay from '../../nodes/dead-letter-replay.ts';
import type { Message } from '../../nodes/shared/red.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { DeadLetters } from '../../src/database/dead-letters.ts';
import { Database } from '../../src/database/pool.ts';
import { LoadError } from '../../src/errors.ts';
import { aLetter } from '../database/letter-samples.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

describe('dead-letter-replay', () => {
  nodeHelper.use();
  let org: Org;
  let where: TestDatabase;
  let db: Database;
  let table: string;
  let tables = 0;

  before(async () => {
    org = await startOrg();
    where = await testDatabase();
    db = new Database(configOf(where));
  });
  after(async () => {
    await db.close();
    await org.close();
  });
  beforeEach(async () => {
    tables += 1;
    table = `letters_${tables}`;
    const letters = [
      aLetter({ recordData: { n: 1 }, errorCategory: 'LOCK', errorCode: 'UNABLE_TO_LOCK_ROW' }),
      aLetter({ recordData: { n: 2 } }),
      aLetter({ recordData: { n: 3 } }),
    ];
    await new DeadLetters(db, { table, createTable: true }).store(letters);
  });

  function load(change: object = {}, ledger = 'db'): Promise<Bench> {
    const node = {
      id: 'n',
      type: 'dead-letter-replay',
      database: 'db',
      table,
      batchSize: 10,
      maxInFlight: 4,
    };
    return Bench.load({
      org,
      ledger,
      database: where,
      modules: [deadLetterReplay],
      nodes: [{ ...node, ...change, wires: [['out?']] }],
    });
  }

  async function sent(bench: Bench, message: Message = { payload: 1 }): Promise<unknown[]> {
    const before = bench.at('out?').length;
    assert.equal(await handled(bench.node('n'), message), undefined);
    await until(() => bench.at('out?').length > before, 'a batch came');
    return bench
      .at('out?')
      .slice(before)
      .flatMap(({ payload }) => (payload as { n: unknown }[]).map(({ n }) => n));
  }

  const statuses = async () =>
    (await db.query<{ status: string }>(`SELECT status FROM ${table} ORDER BY id`)).rows.map(
      ({ status }) => status,
    );

  it('sends records with their job, their claim and the letters that they are of', async () => {
    const bench = await load();
    assert.deepEqual(await sent(bench, { topic: 'carried', payload: 1 }), [1, 2, 3]);
    const [message] = bench.at('out?');
    assert.equal(message?.topic, 'carried');
    assert.deepEqual(message?.job, {
      object: 'Contact',
      operation: 'insert',
      externalIdField: 'External_Id__c',
    });
    const { letters } = (message?.claim as { letters: string[] } | undefined) ?? { letters: [] };
    assert.deepEqual(letters, ['1', '2', '3']);
  });

  it('gives letters back that no run took', async () => {
    const bench = await load();
    await sent(bench);
    assert.deepEqual(await statuses(), ['dead', 'dead', 'dead']);
    assert.deepEqual(await sent(bench), [1, 2, 3], 'they can be sent again');
  });

  it('takes what its filter names, from the message or as a text, and no SQL out of it', async () => {
    const byMessage = await load({ category: 'wanted', categoryType: 'msg', limit: '1', limitType: 'num' });
    assert.deepEqual(await sent(byMessage, { wanted: 'LOCK' }), [1]);
    assert.deepEqual(await sent(byMessage, { wanted: "' OR true --" }), []);
    assert.deepEqual(await sent(byMessage, {}), [1], 'the limit holds without a filter');
  });

  for (const limitType of ['str', 'num', 'msg', 'env']) {
    it(`takes a limit of type ${limitType}`, async () => {
      process.env.REPLAY_LIMIT = '2';
      const limit = { msg: 'most', env: 'REPLAY_LIMIT' }[limitType] ?? '2';
      assert.deepEqual(await sent(await load({ limit, limitType }), { payload: 1, most: 2 }), [1, 2]);
    });
  }

  it('refuses a text that is no limit', async () => {
    const bench = await load({ limit: 'all', limitType: 'str' });
    const error = await handled(bench.node('n'), { payload: 1 });
    assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
    assert.match(error.message, /^limit must be a whole number/);
  });

  it('refuses a limit that is none, a missing table, and one of the Mule flow', async () => {
    await db.query(
      'CREATE TABLE IF NOT EXISTS mule (record_data jsonb, error_message text, job_id text, created_at date)',
    );
    const refused = async (bench: Bench, says: RegExp) => {
      const error = await handled(bench.node('n'), { payload: 1, limit: 0 });
      assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
      assert.match(error.message, says);
    };
    await refused(await load({ limit: 'limit', limitType: 'msg' }), /limit must be a whole number/);
  });

  for (const [name, says] of [
    ['nowhere', /There is no table nowhere/],
    ['mule', /columns of the Mule flow only/],
  ] as const) {
    it(`refuses the table ${name}`, async () => {
      const error = await handled((await load({ table: name })).node('n'), { payload: 1 });
      assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
      assert.match(error.message, says);
    });
  }

  describe('with a claim of an earlier process', () => {
    beforeEach(() => db.query(`UPDATE ${table} SET status = 'replaying', claim_id = 'gone.1' WHERE id = 1`));

    it('gives it back when the ledger knows of no job for it', async () => {
      assert.deepEqual(await sent(await load()), [1, 2, 3]);
    });

    it('leaves it to a person where no ledger can tell, and says so', async () => {
      const bench = await load({}, '');
      assert.deepEqual(await sent(bench), [2, 3]);
      assert.match(bench.warnings('n')[0] ?? '', /1 earlier claim is open, and nobody can tell/);
      assert.deepEqual(await statuses(), ['replaying', 'dead', 'dead']);
    });
  });
});
