import assert from 'node:assert/strict';
import { CsvReader } from '../../../sandbox/org/csv/csv-reader.ts';
import { sinkFailures } from '../../../sandbox/org/ingest/sink.ts';
import { lines, orgFor, rows } from './client.ts';

const CONTACTS = { object: 'Contact', operation: 'insert' };

describe("the sandbox org's sink mode", () => {
  const sandbox = orgFor({ sink: { failPercent: 1 } });

  it('counts records and makes up the results: every hundredth fails', async () => {
    const csv = rows('LastName,External_Id__c', 30_250, (n) => `Name ${n},e-${n}`);
    const { info, success, failed, unprocessed } = await sandbox.client.load(CONTACTS, csv);
    assert.deepEqual(
      [info.state, info.numberRecordsProcessed, info.numberRecordsFailed],
      ['JobComplete', 30_250, 302],
    );
    assert.equal(lines(success).length, 30_250 - 302);
    assert.deepEqual(
      lines(failed).map((line) => Number(/"e-(\d+)"$/.exec(line)?.[1])),
      Array.from({ length: 302 }, (_, i) => (i + 1) * 100),
    );
    assert.match(
      failed,
      /^"sf__Id","sf__Error",LastName,External_Id__c\n"","FIELD_CUSTOM_VALIDATION_EXCEPTION:[^"]*:--","Name 100","e-100"\n/,
    );
    assert.match(
      success,
      /^"sf__Id","sf__Created",LastName,External_Id__c\n"003\w{15}","true","Name 1","e-1"\n/,
    );
    assert.equal(
      new Set(lines(success).map((line) => line.slice(0, 20))).size,
      30_250 - 302,
      'ids are unique',
    );
    assert.equal(unprocessed, 'LastName,External_Id__c\n');
    assert.equal(sandbox.org.audit.rows('Contact'), 0);
    assert.equal(sandbox.org.audit.recordsProcessed, 30_250);
  });

  it('gives values back as they were, quotes, line breaks and all dialects included', async () => {
    const values = ['plain', 'with "quotes"', 'line\r\nbreak', 'semi;colon', '', 'ü😀', '"'];
    const record = values
      .map((value) => (/[";\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value))
      .join(';');
    const header = 'LastName;FirstName;Title;Department;Phone;MailingCity;Description';
    const csv = `${header}\r\n${`${record}\r\n`.repeat(20_000)}`;
    const job = { ...CONTACTS, columnDelimiter: 'SEMICOLON', lineEnding: 'CRLF' };
    const id = await sandbox.client.submit(job, csv);
    const info = await sandbox.client.finished(id);
    assert.equal(info.numberRecordsProcessed, 20_000);
    const { success } = await sandbox.client.files(id);
    const reader = new CsvReader('SEMICOLON');
    const parsed = [...reader.push(Buffer.from(success)), ...reader.end()].slice(1);
    assert.equal(parsed.length, 19_800);
    for (const row of parsed) {
      assert.deepEqual(row.values.slice(2), values);
    }
  });

  it('still fails jobs with a bad header or line ending', async () => {
    const bad = await sandbox.client.load(CONTACTS, 'Name\nA\n');
    assert.equal(bad.info.errorMessage, 'InvalidBatch : Field name not found : Name');
    assert.equal((await sandbox.client.load(CONTACTS, 'LastName\r\nA\r\n')).info.state, 'Failed');
  });

  it('has the faults of jobs', async () => {
    sandbox.org.jobFaults.add({ kind: 'fail-half' });
    const { info, success, failed, unprocessed } = await sandbox.client.load(
      CONTACTS,
      rows('LastName', 1000, (n) => `N${n}`),
    );
    assert.deepEqual([info.state, info.numberRecordsProcessed, info.numberRecordsFailed], ['Failed', 400, 4]);
    assert.deepEqual([lines(success).length, lines(failed).length, lines(unprocessed).length], [396, 4, 600]);
  });

  it('spreads any percentage evenly', () => {
    for (const percent of [0, 0.1, 1, 3, 7.5, 50, 100]) {
      assert.equal(sinkFailures(100_000, percent), Math.floor((100_000 * percent) / 100 + 1e-9));
    }
  });
});

for (const failPercent of [0, 7.5, 100]) {
  describe(`the sandbox org's sink mode with ${failPercent} % failures`, () => {
    const sandbox = orgFor({ sink: { failPercent } });
    it('agrees with its counters', async () => {
      const { info, success, failed } = await sandbox.client.load(
        CONTACTS,
        rows('LastName', 4321, (n) => `N${n}`),
      );
      assert.equal(lines(failed).length, info.numberRecordsFailed);
      assert.equal(lines(success).length + lines(failed).length, 4321);
      assert.equal(info.numberRecordsFailed, Math.floor((4321 * failPercent) / 100));
    });
  });
}
