import assert from 'node:assert/strict';
import deadLetter from '../../nodes/dead-letter.ts';
import deadLetterReplay from '../../nodes/dead-letter-replay.ts';
import sfBulkCreate from '../../nodes/sf-bulk-create.ts';
import sfBulkPoll from '../../nodes/sf-bulk-poll.ts';
import sfBulkResults from '../../nodes/sf-bulk-results.ts';
import sfFailureClassify from '../../nodes/sf-failure-classify.ts';
import type { Message } from '../../nodes/shared/red.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { Database } from '../../src/database/pool.ts';
import type { Receipt } from '../../src/receipt.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

/** Records that never leave: output 2 of the create node, wired to the dead letter. */
describe('records refused before the upload', () => {
  nodeHelper.use();
  let org: Org;
  let where: TestDatabase;
  let db: Database;

  before(async () => {
    org = await startOrg();
    where = await testDatabase();
    db = new Database(configOf(where));
  });
  after(async () => {
    await db.close();
    await org.close();
  });

  const MODULES = [deadLetter, deadLetterReplay, sfBulkCreate, sfBulkPoll, sfBulkResults, sfFailureClassify];

  const load = (): Promise<Bench> =>
    Bench.load({
      org,
      database: where,
      modules: MODULES,
      nodes: [
        {
          id: 'replay',
          type: 'dead-letter-replay',
          database: 'db',
          table: 'letters',
          batchSize: 10,
          maxInFlight: 4,
          wires: [['create']],
        },
        {
          id: 'create',
          type: 'sf-bulk-create',
          connection: 'sf',
          loadName: 'contacts',
          object: 'Contact',
          operation: 'insert',
          externalIdField: 'External_Id__c',
          maxRecordsPerJob: 0,
          maxMegabytesPerJob: 100,
          wires: [['poll'], ['letters'], ['run?']],
        },
        {
          id: 'poll',
          type: 'sf-bulk-poll',
          connection: 'sf',
          interval: 0.1,
          maxInterval: 0.5,
          timeout: 0,
          stallTimeout: 600,
          wires: [['results'], ['results']],
        },
        {
          id: 'results',
          type: 'sf-bulk-results',
          connection: 'sf',
          batchSize: 100,
          maxInFlight: 4,
          stuckAfter: 600,
          wires: [[], ['classify'], [], ['job?']],
        },
        {
          id: 'classify',
          type: 'sf-failure-classify',
          ruleSet: 'complete',
          rules: [],
          wires: [['letters'], ['letters']],
        },
        {
          id: 'letters',
          type: 'dead-letter',
          database: 'db',
          table: 'letters',
          createTable: true,
          wires: [['stored?']],
        },
      ],
    });

  const rows = async (columns: string) => (await db.query(`SELECT ${columns} FROM letters ORDER BY id`)).rows;

  it('are letters that can be replayed, and the receipt counts them beside its jobs', async () => {
    const bench = await load();
    const itself: Record<string, unknown> = {};
    itself.again = itself;
    const contact = (n: number, more: object = {}) => ({
      LastName: `Name ${n}`,
      External_Id__c: `C-${n}`,
      ...more,
    });
    const payload = [
      contact(1),
      contact(2, { Description: 'x'.repeat(200_000) }),
      contact(3, { Email: ['a', 'b'] }),
      contact(4, { LastName: null }),
      contact(5, { Title: itself }),
    ];
    assert.equal(await handled(bench.node('create'), { payload }), undefined);
    await until(() => bench.at('run?').length === 1, 'the run is settled');
    const { runId, received, rejected, uploaded, succeeded, failed, retried, deadLettered, unaccounted } = (
      bench.at('run?')[0] as Message
    ).payload as Receipt;
    assert.deepEqual([received, rejected, uploaded], [5, 3, 2]);
    assert.equal(received, rejected + uploaded);
    // A run is the sum of its jobs, and these records are in none: `failed` is what was retried or dead-lettered.
    assert.deepEqual([succeeded, failed, unaccounted], [1, 1, 0]);
    assert.equal(failed, retried + deadLettered);

    const letters = await rows(
      "error_code, run_id, load_name, object, operation, external_id_field, job_id IS NULL AS in_no_job, status, record_data ->> 'External_Id__c' AS key",
    );
    const common = {
      run_id: runId,
      load_name: 'contacts',
      object: 'Contact',
      operation: 'insert',
      external_id_field: 'External_Id__c',
      status: 'dead',
    };
    const byKey = (key: string) => letters.find((letter) => letter.key === key);
    assert.equal(letters.length, rejected + deadLettered);
    assert.deepEqual(byKey('C-2'), {
      ...common,
      error_code: 'RECORD_TOO_LARGE',
      in_no_job: true,
      key: 'C-2',
    });
    assert.deepEqual(byKey('C-3'), { ...common, error_code: 'RECORD_INVALID', in_no_job: true, key: 'C-3' });
    assert.deepEqual(byKey('C-4'), {
      ...common,
      error_code: 'REQUIRED_FIELD_MISSING',
      in_no_job: false,
      key: 'C-4',
    });
    // One that holds itself is kept as a text, which nobody can send again.
    assert.equal(
      letters.filter(({ key, error_code }) => key === null && error_code === 'RECORD_INVALID').length,
      1,
    );

    await db.query(
      `UPDATE letters SET record_data = record_data - 'Description' - 'Email' || '{"LastName": "Mended"}' WHERE jsonb_typeof(record_data) = 'object'`,
    );
    assert.equal(await handled(bench.node('replay'), { payload: 1 }), undefined);
    await until(() => bench.at('run?').length === 2, 'the replay is settled');
    await until(
      async () => (await rows('status')).filter(({ status }) => status === 'replayed').length === 3,
      'its claims have ended',
    );
    assert.deepEqual([...org.records('Contact')].map(({ External_Id__c }) => External_Id__c).sort(), [
      'C-1',
      'C-2',
      'C-3',
      'C-4',
    ]);
  });
});
