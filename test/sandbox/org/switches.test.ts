import assert from 'node:assert/strict';
import { Client, orgFor } from './client.ts';

const code = (text: string): string => JSON.parse(text)[0].errorCode;

describe("the sandbox org's switches for open questions", () => {
  const job = { object: 'Load_Test__c', operation: 'insert' };

  describe('second PUT replaces', () => {
    const sandbox = orgFor({
      secondPut: 'replace',
      emptyUpload: 'Failed',
      resultLineEnding: 'job',
      echoHeaderQuotes: false,
    });
    it('loads the second file only', async () => {
      const id = await sandbox.client.createJob(job);
      await sandbox.client.upload(id, 'Key__c\nfirst\n');
      assert.equal((await sandbox.client.upload(id, 'Key__c\nsecond\n')).status, 201);
      await sandbox.client.setState(id, 'UploadComplete');
      await sandbox.client.finished(id);
      assert.deepEqual(
        [...sandbox.org.records('Load_Test__c')].map((record) => record.Key__c),
        ['second'],
      );
    });
    it('an empty upload fails', async () => {
      const { info } = await sandbox.client.load(job, 'Key__c\n');
      assert.equal(info.errorMessage, 'InvalidBatch : Records not found');
    });
    it('results have the line end of the job, and header names without quotes', async () => {
      const { success } = await sandbox.client.load({ ...job, lineEnding: 'CRLF' }, '"Key__c"\r\nx\r\n');
      assert.match(success, /^"sf__Id","sf__Created",Key__c\r\n"a00\w{15}","true","x"\r\n$/);
    });
  });

  describe('second PUT appends', () => {
    const sandbox = orgFor({
      secondPut: 'append',
      gzipUpload: true,
      faultJoiner: '; ',
      earlyResults: { status: 409 },
      maxUploadBytes: 1000,
    });
    it('loads both', async () => {
      const id = await sandbox.client.createJob(job);
      await sandbox.client.upload(id, 'Key__c\nfirst\n');
      await sandbox.client.upload(id, 'second\n');
      await sandbox.client.setState(id, 'UploadComplete');
      assert.equal((await sandbox.client.finished(id)).numberRecordsProcessed, 2);
    });
    it('answers early results as it was told', async () => {
      const id = await sandbox.client.createJob(job);
      assert.equal((await sandbox.client.call('GET', `/jobs/ingest/${id}/failedResults`)).status, 409);
    });
    it('refuses what is too large, and the job stays Open without data', async () => {
      const id = await sandbox.client.createJob(job);
      assert.equal((await sandbox.client.upload(id, `Key__c\n${'x'.repeat(2000)}\n`)).status, 400);
      assert.equal((await sandbox.client.info(id)).numberRecordsProcessed, undefined);
    });
    it('joins several faults of one record', async () => {
      const contact = { object: 'Contact', operation: 'insert' };
      const { failed } = await sandbox.client.load(contact, 'LastName,Email,Level__c\nA,bad,Other\n');
      assert.match(
        failed,
        /Email --; INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Level: bad value for restricted picklist field: Other:Level__c --/,
      );
    });
  });

  describe('failed results', () => {
    const sandbox = orgFor({ emptyEchoOnCaseMismatch: true, hardDelete: false });
    it('lose values of columns in other capitals, when told so', async () => {
      const { failed } = await sandbox.client.load(
        { object: 'Contact', operation: 'insert' },
        'lastname,Email\nA,bad\n',
      );
      assert.match(failed, /Email --","","bad"/);
    });
    it('are in alphabetical order up to v49', async () => {
      const old = new Client(sandbox.org, '49.0');
      old.token = sandbox.client.token;
      const { failed } = await old.load(
        { object: 'Contact', operation: 'insert' },
        'LastName,Email\nA,bad\n',
      );
      assert.match(failed, /^"sf__Id","sf__Error",Email,LastName\n"","[^"]*","bad","A"\n$/);
    });
    it('hardDelete needs its permission', async () => {
      const answer = await sandbox.client.call('POST', '/jobs/ingest', {
        object: 'Contact',
        operation: 'hardDelete',
      });
      assert.equal(code(answer.text), 'FEATURENOTENABLED');
    });
  });
});
