import assert from 'node:assert/strict';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { FROM_THE_FIRST } from '../../src/database/ledger/claim-state.ts';
import { isLoadError } from '../../src/errors.ts';
import type { SourceRecord } from '../../src/record.ts';
import { connectTo, INSERT_LOAD_TEST, LoadUnderTest, loadTestRecords } from '../support/loads.ts';
import { until } from '../support/until.ts';

describe('Load', () => {
  let org: Org;
  let under: LoadUnderTest;

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
  });
  beforeEach(async () => {
    await org.reset();
    under = new LoadUnderTest(connectTo(org), { maxRecordsPerJob: 400 });
  });
  afterEach(() => under.close());
  after(() => org.close());

  it('loads every record once, in as many jobs as they need, and ends with the sum of their receipts', async () => {
    const records = loadTestRecords(1000);
    await under.loadAll(records);
    assert.equal(under.jobs.length, 3);
    assert.deepEqual(
      under.jobs.map(({ records: count }) => count),
      [400, 400, 200],
    );
    await under.settleAll();
    await until(() => under.receipts.length === 1, 'the run has its receipt');
    const [receipt] = under.receipts;
    assert.equal(receipt?.received, 1000);
    assert.equal(receipt?.succeeded, 1000);
    assert.equal(receipt?.unaccounted, 0);
    assert.equal(receipt?.complete, true);
    const keys = org.audit.insertsPerKey(
      'Load_Test__c',
      'Key__c',
      records.map(({ Key__c }) => String(Key__c)),
    );
    assert.equal(keys.repeatedCount, 0);
    assert.deepEqual(keys.missing, []);
  });

  it('refuses a second run while the first is loading, and while its jobs are in hand', async () => {
    const run = await under.load.beginRun({ openedAt: Date.now(), carried: {} });
    await assert.rejects(under.load.beginRun({ openedAt: Date.now(), carried: {} }), (error) =>
      isLoadError(error, 'LOAD_ALREADY_RUNNING'),
    );
    await run.finish();
    await until(() => under.receipts.length === 1, 'the run has its receipt');
    assert.equal(under.receipts[0]?.received, 0);
    assert.equal(under.receipts[0]?.complete, true);
  });

  it('sends unsettled jobs again at the next trigger and takes no new rows before they are settled', async () => {
    await under.loadAll(loadTestRecords(10));
    const [job] = under.jobs.splice(0);
    await assert.rejects(under.loadAll(loadTestRecords(10, 'second')), (error) =>
      isLoadError(error, 'LOAD_UNSETTLED'),
    );
    assert.deepEqual(
      under.jobs.map(({ id }) => id),
      [job?.id],
    );
    await under.settleAll();
    await until(() => under.receipts.length === 1, 'the run has its receipt');
    const endedAt = Date.parse(under.receipts[0]?.finishedAt ?? '');
    await until(
      () => Date.now() > endedAt + 20,
      'the clock has moved on: rows read in the same millisecond are stale',
    );
    await under.loadAll(loadTestRecords(10, 'second'));
  });

  it('refuses rows that were read before the last run ended', async () => {
    const openedAt = Date.now();
    await under.loadAll(loadTestRecords(10));
    await under.settleAll();
    await until(() => under.receipts.length === 1, 'the run has its receipt');
    await assert.rejects(under.load.beginRun({ openedAt, carried: {} }), (error) =>
      isLoadError(error, 'LOAD_STALE'),
    );
  });

  it('leaves no job open and counts nothing as received when a run breaks off before its first close', async () => {
    const run = await under.load.beginRun({ openedAt: Date.now(), carried: {} });
    await run.write(loadTestRecords(100), INSERT_LOAD_TEST, undefined);
    await run.breakOff(new Error('the select failed'));
    await until(() => under.receipts.length === 1, 'the run has its receipt');
    assert.equal(under.receipts[0]?.received, 0);
    assert.equal(under.receipts[0]?.complete, false);
    assert.equal([...org.records('Load_Test__c')].length, 0);
  });

  it('counts the rejected records of a CSV that had left when it was broken off, and tells the next to stay', async () => {
    const spec = { ...INSERT_LOAD_TEST, operation: 'update' } as const;
    const run = await under.load.beginRun({ openedAt: Date.now(), carried: {} });
    const groups: boolean[] = [];
    const writing = run.writeCsv(`Id,Name\n${',Row\n'.repeat(3500)}`, spec, async ({ sent, signal }) => {
      groups.push(signal.aborted);
      sent();
      if (groups.length < 2) return;
      void run.breakOff(new Error('the select failed'));
      await new Promise((_, reject) => {
        if (signal.aborted) reject(signal.reason);
      });
    });
    await assert.rejects(writing, /the select failed/);
    await until(() => under.receipts.length === 1, 'the run has its receipt');
    assert.deepEqual([under.receipts[0]?.received, under.receipts[0]?.rejected], [2000, 2000]);
    assert.deepEqual(groups, [false, false]);
  });

  it('sends a file again to a new job when the answer to its upload is lost', async () => {
    org.faults.add({ method: 'PUT', path: /batches/, kind: 'drop-after', times: 1 });
    const records = loadTestRecords(100);
    await under.loadAll(records);
    await under.settleAll();
    const keys = org.audit.insertsPerKey(
      'Load_Test__c',
      'Key__c',
      records.map(({ Key__c }) => String(Key__c)),
    );
    assert.equal(keys.repeatedCount, 0);
    assert.deepEqual(keys.missing, []);
  });

  it('gives back what is no record, and knows all the same which letters of a replay are in which job', async () => {
    const batch = [null, { Name: 'One' }, 'text', Buffer.from('a'), { Name: 'Two', Key__c: 'k' }, ['a']];
    const letters = ['11', '12', '13', '14', '15', '16'];
    const run = await under.load.beginRun({ openedAt: Date.now(), carried: {} });
    const rejected = await run.write(batch as SourceRecord[], INSERT_LOAD_TEST, { id: 'claim', letters });
    await run.finish();
    assert.deepEqual(
      rejected.map(({ code, record }) => [code, record]),
      [null, 'text', Buffer.from('a'), ['a']].map((_value) => ['RECORD_INVALID', { _value }]),
    );
    const known = await Promise.all(under.jobs.map(({ id }) => under.connection.ledger.findJob(id)));
    assert.deepEqual(
      known.map((one) => one?.claimParts),
      [
        [{ claimId: 'claim', letters: [FROM_THE_FIRST, '15'] }],
        [{ claimId: 'claim', letters: ['15', null] }],
      ],
    );
  });
});
