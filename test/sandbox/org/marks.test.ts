import assert from 'node:assert/strict';
import { lines, orgFor, parsed, rows } from './client.ts';

const CONTACTS = { object: 'Contact', operation: 'insert' };
const errorsOf = (failed: string): string[] => lines(failed).map((line) => line.split('","')[1] ?? '');

describe('records of the sandbox org that carry a fault', () => {
  const sandbox = orgFor();
  const create = async (records: Record<string, string>[]) =>
    parsed<{ success: boolean; errors: { statusCode: string; message: string }[] }[]>(
      await sandbox.client.call('POST', '/composite/sobjects', {
        allOrNone: false,
        records: records.map((record) => ({ attributes: { type: 'Contact' }, ...record })),
      }),
    );
  const single = async (key: string) =>
    (await sandbox.client.call('POST', '/sobjects/Contact', { LastName: 'A', External_Id__c: key })).status;

  it('LOCK: fails its first try in Bulk only', async () => {
    const csv = 'LastName,External_Id__c\nA,c-LOCK-1\nB,c-2\n';
    const first = await sandbox.client.load(CONTACTS, csv);
    assert.deepEqual(errorsOf(first.failed), [
      'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--',
    ]);
    const second = await sandbox.client.load(CONTACTS, csv);
    assert.match(errorsOf(second.failed)[0] ?? '', /^DUPLICATE_VALUE/);
    assert.equal(lines(second.success).length, 1);
    assert.equal(await single('c-LOCK-3'), 201);
  });

  it('APEX: fails in Bulk and in company, passes alone', async () => {
    const { failed } = await sandbox.client.load(CONTACTS, 'LastName,External_Id__c\nA,c-APEX-1\nB,c-4\n');
    assert.deepEqual(errorsOf(failed), [
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:ContactTrigger: System.LimitException: Too many SOQL queries: 101:--',
    ]);
    const together = await create([
      { LastName: 'A', External_Id__c: 'c-APEX-1' },
      { LastName: 'B', External_Id__c: 'c-APEX-2' },
      { LastName: 'C', External_Id__c: 'c-5' },
    ]);
    assert.deepEqual(
      together.map((result) => result.success),
      [false, false, true],
    );
    assert.equal(together[0]?.errors[0]?.statusCode, 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY');
    assert.deepEqual(
      await create([{ LastName: 'A', External_Id__c: 'c-APEX-1' }]).then((all) => all[0]?.success),
      true,
    );
    assert.equal(await single('c-APEX-2'), 201);
  });

  it('APEXALL: hits the whole chunk or call', async () => {
    const { info } = await sandbox.client.load(
      CONTACTS,
      rows('LastName,External_Id__c', 400, (n) => `N,all-${n === 7 ? 'APEXALL-' : ''}${n}`),
    );
    assert.equal(info.numberRecordsFailed, 200);
    const together = await create([{ LastName: 'A', External_Id__c: 'c-APEXALL-1' }, { LastName: 'B' }]);
    assert.deepEqual(
      together.map((result) => result.success),
      [false, false],
    );
    assert.equal(await single('c-APEXALL-1'), 201);
  });

  it('FLOW, UNKNOWN, STORAGE, on another object too', async () => {
    const job = { object: 'Load_Test__c', operation: 'insert' };
    const id = await sandbox.client.submit(job, 'Key__c\nk-FLOW-1\nk-UNKNOWN-2\nk-STORAGE-3\nk-4\n');
    await sandbox.client.finished(id);
    const { failed } = await sandbox.client.files(id);
    assert.match(
      failed,
      /CANNOT_EXECUTE_FLOW_TRIGGER:We can't save this record because the ""Load_Test__c [\s\S]*Limit Exceeded\nError ID/,
    );
    assert.match(failed, /"UNKNOWN_EXCEPTION:[^"]*:--","k-UNKNOWN-2"/);
    assert.match(failed, /"STORAGE_LIMIT_EXCEEDED:[^"]*:--","k-STORAGE-3"/);
  });
});

describe("the sandbox org's row locks", () => {
  const HEADER = 'LastName,Account.External_Id__c';
  const line = (n: number): string => `Child ${n},P`;

  describe('within one job', () => {
    const sandbox = orgFor({ batchRecords: 2000, lockFailureRate: 0.5 });
    it('batches that share a parent collide, a job of one batch does not', async () => {
      const parent = sandbox.org.insert('Account', { Name: 'P', External_Id__c: 'P' });
      const alone = await sandbox.client.load(CONTACTS, rows(HEADER, 2000, line));
      assert.equal(alone.info.numberRecordsFailed, 0);
      const { info, failed } = await sandbox.client.load(CONTACTS, rows(HEADER, 8000, line));
      assert.ok(
        info.numberRecordsFailed > 0 && info.numberRecordsFailed < 6000,
        `${info.numberRecordsFailed} failed`,
      );
      assert.equal(info.numberRecordsFailed % 200, 0, 'whole chunks fail');
      assert.ok(info.retries > 0);
      assert.equal(
        errorsOf(failed)[0],
        `UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: ${parent}:--`,
      );
      const sorted = await sandbox.client.load(CONTACTS, rows('LastName', 8000, line).replaceAll(',P', ''));
      assert.equal(sorted.info.numberRecordsFailed, 0, 'no parent, no lock');
    });
    it('over REST there are none', async () => {
      const answer = await sandbox.client.call('POST', '/sobjects/Contact', {
        LastName: 'R',
        Account: { External_Id__c: 'P' },
      });
      assert.equal(answer.status, 201);
    });
  });

  describe('between jobs', () => {
    const sandbox = orgFor({ lockFailureRate: 1, recordsPerSecond: 4000 });
    it('jobs that overlap collide, jobs one after the other do not', async () => {
      sandbox.org.insert('Account', { Name: 'P', External_Id__c: 'P' });
      const csv = rows(HEADER, 600, line);
      const ids = await Promise.all([
        sandbox.client.submit(CONTACTS, csv),
        sandbox.client.submit(CONTACTS, csv),
      ]);
      const infos = await Promise.all(ids.map((id) => sandbox.client.finished(id)));
      assert.ok(infos.reduce((sum, info) => sum + info.numberRecordsFailed, 0) > 0);
      assert.equal(sandbox.org.audit.mostJobsInProgress, 2);
      for (let i = 0; i < 2; i++) {
        assert.equal((await sandbox.client.load(CONTACTS, csv)).info.numberRecordsFailed, 0);
      }
    });
  });
});
