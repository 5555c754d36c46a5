import assert from 'node:assert/strict';
import deadLetterReplay from '../../nodes/dead-letter-replay.ts';
import sfBulkCreate from '../../nodes/sf-bulk-create.ts';
import sfBulkPoll from '../../nodes/sf-bulk-poll.ts';
import sfBulkResults from '../../nodes/sf-bulk-results.ts';
import type { Message } from '../../nodes/shared/red.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { DeadLetters } from '../../src/database/dead-letters.ts';
import { PostgresLedger } from '../../src/database/ledger/postgres-ledger.ts';
import { Database } from '../../src/database/pool.ts';
import { LoadError } from '../../src/errors.ts';
import type { Job } from '../../src/job.ts';
import type { Receipt } from '../../src/receipt.ts';
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

  it('refuses a limit that is none, a missing table, and one of the MuleSoft flow', async () => {
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
    ['mule', /columns of the MuleSoft flow only/],
  ] as const) {
    it(`refuses the table ${name}`, async () => {
      const error = await handled((await load({ table: name })).node('n'), { payload: 1 });
      assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
      assert.match(error.message, says);
    });
  }

  describe('with two equal letters of which one was not processed', () => {
    let reading: Bench;
    let jobId: string;

    /** The whole way, up to the results: `r` reads them, and breaks off the first time. */
    beforeEach(async () => {
      await org.reset();
      await db.query(`DELETE FROM ${table}`);
      const letter = { object: 'Load_Test__c', externalIdField: null, recordData: { Name: 'same' } };
      await new DeadLetters(db, { table, createTable: true }).store([aLetter(letter), aLetter(letter)]);
      org.jobFaults.add({ kind: 'fail-half' });
      let failures = 1;
      const failsOnce = nodeHelper.type('fails-once', (_RED, node) => {
        node.on('input', (_message, _send, done) => {
          failures -= 1;
          done(failures < 0 ? undefined : new Error('the flow breaks off'));
        });
      });
      const load = { object: 'Load_Test__c', operation: 'insert', mapping: [], loadName: table };
      reading = await Bench.load({
        org,
        database: where,
        modules: [deadLetterReplay, sfBulkCreate, sfBulkPoll, sfBulkResults, failsOnce],
        nodes: [
          { id: 'n', type: 'dead-letter-replay', database: 'db', table, batchSize: 10, wires: [['c']] },
          { id: 'c', type: 'sf-bulk-create', connection: 'sf', ...load, wires: [['p'], [], []] },
          { id: 'p', type: 'sf-bulk-poll', connection: 'sf', interval: 0.1, wires: [[], ['job?']] },
          { id: 'r', type: 'sf-bulk-results', connection: 'sf', wires: [['f'], [], [], ['receipt?']] },
          { id: 'f', type: 'fails-once' },
        ],
      });
      reading.node('n').receive({ payload: 1 });
      await until(() => reading.at('job?').length > 0, 'the job has ended');
      const [{ job } = {}] = reading.at('job?');
      jobId = (job as Job).id;
    });

    async function firstReading(): Promise<void> {
      const error = await handled(reading.node('r'), { payload: jobId });
      assert.match(String(error), /breaks off/);
    }

    async function secondReading(): Promise<void> {
      assert.equal(await handled(reading.node('r'), { payload: jobId }), undefined);
      await until(() => reading.at('receipt?').length > 0, 'the job is settled');
      const [{ succeeded, unprocessed } = {}] = reading
        .at('receipt?')
        .map(({ payload }) => payload as Receipt);
      assert.deepEqual([succeeded, unprocessed], [1, 1]);
      await until(async () => !(await statuses()).includes('replaying'), 'the claim has ended');
    }

    it('gives one back, however often the results are read', async () => {
      await firstReading();
      assert.deepEqual(await statuses(), ['dead', 'replaying']);
      await secondReading();
      assert.deepEqual(await statuses(), ['dead', 'replayed']);
    });

    it('gives back the one that was noted by whoever died before he did so', async () => {
      const ledger = new PostgresLedger(db);
      const [claimId = ''] = (await ledger.findJob(jobId))?.claimIds ?? [];
      const { rows } = await db.query<{ last: string }>(`SELECT max(id)::text AS last FROM ${table}`);
      await ledger.noteGivenBack(jobId, [{ claimId, letters: [rows[0]?.last ?? ''] }]);
      await firstReading();
      assert.deepEqual(await statuses(), ['replaying', 'dead']);
      await secondReading();
      assert.deepEqual(await statuses(), ['replayed', 'dead']);
      await ledger.close();
    });
  });

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
