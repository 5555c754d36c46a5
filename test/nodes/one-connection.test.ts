import assert from 'node:assert/strict';
import deadLetter from '../../nodes/dead-letter.ts';
import deadLetterReplay from '../../nodes/dead-letter-replay.ts';
import sfBulkCreate from '../../nodes/sf-bulk-create.ts';
import sfBulkPoll from '../../nodes/sf-bulk-poll.ts';
import sfBulkResults from '../../nodes/sf-bulk-results.ts';
import sfFailureClassify from '../../nodes/sf-failure-classify.ts';
import sfSingleRetry from '../../nodes/sf-single-retry.ts';
import syncSelect from '../../nodes/sync-select.ts';
import syncWriteback from '../../nodes/sync-writeback.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { Database } from '../../src/database/pool.ts';
import type { Receipt } from '../../src/receipt.ts';
import { loadFlow } from '../chaos/kill-flow.ts';
import { keysOf } from '../chaos/kill-run.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

const MODULES = [
  syncSelect,
  sfBulkCreate,
  sfBulkPoll,
  sfBulkResults,
  sfFailureClassify,
  sfSingleRetry,
  deadLetter,
  deadLetterReplay,
  syncWriteback,
];
const NOT_OURS = ['tab', 'inject', 'function', 'debug', 'catch', 'sync-database', 'sf-connection'];
const RECORDS = `SELECT 'Row' AS "Name", key AS "Key__c", id AS "Value__c" FROM source WHERE status = 'READY' ORDER BY id`;
const ROWS = 300;

describe('a database of one connection', () => {
  nodeHelper.use();
  let org: Org;
  let where: TestDatabase;
  let db: Database;

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
    where = await testDatabase();
    db = new Database(configOf(where));
    await db.query(
      `CREATE TABLE source (id bigint PRIMARY KEY, key text, status text DEFAULT 'READY', sf_id text, error text)`,
    );
    await db.query(
      'INSERT INTO source (id, key) SELECT n, k FROM unnest($1::text[]) WITH ORDINALITY AS u (k, n)',
      [keysOf('narrow', ROWS)],
    );
  });
  after(async () => {
    await db.close();
    await org.close();
  });

  function nodes() {
    const ours = loadFlow({ maxRecordsPerJob: 50, batchSize: 20, resultBatchSize: 10 })
      .filter(({ type }) => !NOT_OURS.includes(type))
      .map((node) => ({
        ...node,
        wires: (node.wires as string[][]).map((ends) =>
          ends.map((end) => (end.endsWith('-receipt') ? `${end}?` : end)),
        ),
      }));
    const select = ours.find(({ id }) => id === 'select');
    Object.assign(select ?? {}, { sql: RECORDS, wires: [['create']] });
    const replay = {
      id: 'replay',
      type: 'dead-letter-replay',
      database: 'db',
      table: 'sf_sync_dead_letter',
      batchSize: 1,
      maxInFlight: 4,
      wires: [['create']],
    };
    return [...ours, replay];
  }

  it('serves a whole load, its ledger and a replay: nothing holds it while it waits for another', async () => {
    const bench = await Bench.load({
      org,
      database: where,
      modules: MODULES,
      nodes: nodes(),
      db: { poolSize: 1 },
    });
    const receipts = () => bench.at('run-receipt?').map(({ payload }) => payload as Receipt);
    assert.equal(await handled(bench.node('select'), { payload: 1 }), undefined);
    await until(() => receipts().length === 1, 'the load has its receipt', 30_000);
    const [load] = receipts();
    assert.deepEqual([load?.received, load?.unaccounted, load?.complete], [ROWS, 0, true]);
    assert.ok(load && load.deadLettered > 0 && load.retried > 0);
    assert.equal(await handled(bench.node('replay'), { payload: 1 }), undefined);
    await until(() => receipts().length === 2, 'the replay has its receipt', 30_000);
    assert.equal(receipts()[1]?.received, load?.deadLettered);
  });
});
