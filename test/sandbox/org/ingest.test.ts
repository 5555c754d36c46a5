import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { Client, type JobInfo, lines, orgFor, parsed } from './client.ts';

const CONTACTS = { object: 'Contact', operation: 'insert' };
const COMMON = [
  'id',
  'operation',
  'object',
  'createdById',
  'createdDate',
  'systemModstamp',
  'state',
  'concurrencyMode',
  'contentType',
  'apiVersion',
];
const TIMES = ['retries', 'totalProcessingTime', 'apiActiveProcessingTime', 'apexProcessingTime'];
const COUNTERS = ['numberRecordsProcessed', 'numberRecordsFailed'];
const FORMAT = ['lineEnding', 'columnDelimiter'];

const code = (text: string): string => JSON.parse(text)[0].errorCode;

describe("the sandbox org's ingest jobs: life of a job", () => {
  const sandbox = orgFor();

  it('has the keys of each state, in their order', async () => {
    const { client } = sandbox;
    const created = await client.call('POST', '/jobs/ingest', CONTACTS);
    const { id = '' } = parsed(created);
    assert.deepEqual(Object.keys(parsed(created)), [...COMMON, 'contentUrl', ...FORMAT]);
    assert.deepEqual(Object.keys(await client.info(id)), [
      ...COMMON,
      'jobType',
      'contentUrl',
      ...FORMAT,
      ...TIMES,
    ]);
    const put = await client.upload(id, 'LastName\nA\n');
    assert.deepEqual([put.status, put.text], [201, '']);
    const uploaded = await client.info(id);
    assert.deepEqual(Object.keys(uploaded), [
      ...COMMON,
      'jobType',
      'contentUrl',
      ...FORMAT,
      ...COUNTERS,
      ...TIMES,
    ]);
    assert.deepEqual(Object.keys(parsed(await client.setState(id, 'UploadComplete'))), COMMON);
    const done = await client.finished(id);
    assert.deepEqual(Object.keys(done), [...COMMON, 'jobType', ...FORMAT, ...COUNTERS, ...TIMES]);
    assert.match(String(done.createdDate), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000\+0000$/);
  });

  it('is found by its id of 15 characters and with a trailing slash', async () => {
    const id = await sandbox.client.createJob(CONTACTS);
    assert.equal((await sandbox.client.info(id.slice(0, 15))).id, id);
    assert.equal((await sandbox.client.call('GET', `/jobs/ingest/${id}/`)).status, 200);
    assert.equal((await sandbox.client.call('POST', '/jobs/ingest/', CONTACTS)).status, 200);
  });

  it('keeps what was given at creation', async () => {
    const answer = await sandbox.client.call('POST', '/jobs/ingest', {
      object: 'Case',
      operation: 'upsert',
      externalIdFieldName: 'External_Id__c',
      assignmentRuleId: '01Q000000000002AAA',
      lineEnding: 'CRLF',
      columnDelimiter: 'PIPE',
      contentType: 'CSV',
    });
    const { externalIdFieldName, assignmentRuleId, lineEnding, columnDelimiter } = parsed(answer);
    assert.deepEqual(
      [externalIdFieldName, assignmentRuleId, lineEnding, columnDelimiter],
      ['External_Id__c', '01Q000000000002AAA', 'CRLF', 'PIPE'],
    );
  });

  it('refuses what cannot become a job', async () => {
    const refusals: [Record<string, unknown>, string][] = [
      [{ object: 'Nothing__c', operation: 'insert' }, 'INVALIDENTITY'],
      [{ object: 'User', operation: 'insert' }, 'INVALIDENTITY'],
      [{ object: 'Contact', operation: 'upsert' }, 'INVALIDJOB'],
      [{ object: 'Contact', operation: 'upsert', externalIdFieldName: 'Phone' }, 'INVALIDJOB'],
      [{ object: 'Contact', operation: 'Insert' }, 'INVALIDJOB'],
      [{ object: 'Contact', operation: 'insert', lineEnding: 'CR' }, 'INVALIDJOB'],
      [{ operation: 'insert' }, 'INVALIDJOB'],
      [{ ...CONTACTS, concurrencyMode: 'Serial' }, 'JSON_PARSER_ERROR'],
    ];
    for (const [job, errorCode] of refusals) {
      const answer = await sandbox.client.call('POST', '/jobs/ingest', job);
      assert.equal(answer.status, 400, answer.text);
      assert.equal(code(answer.text), errorCode);
    }
    assert.match(
      (await sandbox.client.call('POST', '/jobs/ingest', { object: 'X', operation: 'insert' })).text,
      /is not supported by the Bulk API"/,
    );
  });

  it('refuses a second PUT, a PUT after the close, a second close, an abort of a finished job', async () => {
    const { client } = sandbox;
    const id = await client.createJob(CONTACTS);
    await client.upload(id, 'LastName\nA\n');
    assert.equal(code((await client.upload(id, 'LastName\nB\n')).text), 'INVALIDJOBSTATE');
    await client.setState(id, 'UploadComplete');
    await client.finished(id);
    assert.equal((await client.upload(id, 'LastName\nB\n')).status, 400);
    assert.equal((await client.setState(id, 'UploadComplete')).status, 400);
    const abort = await client.setState(id, 'Aborted');
    assert.equal(abort.status, 400);
    assert.deepEqual(JSON.parse(abort.text), [
      { errorCode: 'INVALIDJOBSTATE', message: 'Aborting already Completed Job not allowed' },
    ]);
    assert.equal((await client.setState(id, 'InProgress')).status, 400);
  });

  it('is aborted when Open: whatever was uploaded is unprocessed, and it can be deleted', async () => {
    const { client } = sandbox;
    const id = await client.createJob(CONTACTS);
    assert.equal(code((await client.call('DELETE', `/jobs/ingest/${id}`)).text), 'API_ERROR');
    await client.upload(id, 'LastName,Email\nA,\n"B, C",b@example.com\n');
    assert.equal((await client.call('GET', `/jobs/ingest/${id}/failedResults`)).status, 400);
    assert.equal(parsed(await client.setState(id, 'Aborted')).state, 'Aborted');
    const { success, failed, unprocessed } = await client.files(id);
    assert.deepEqual([lines(success), lines(failed)], [[], []]);
    assert.equal(unprocessed, 'LastName,Email\n"A",""\n"B, C","b@example.com"\n');
    assert.equal((await client.call('DELETE', `/jobs/ingest/${id}`)).status, 204);
    assert.equal((await client.call('GET', `/jobs/ingest/${id}`)).status, 404);
  });

  it('without any upload ends with nothing processed', async () => {
    const id = await sandbox.client.createJob(CONTACTS);
    await sandbox.client.setState(id, 'UploadComplete');
    const info = await sandbox.client.finished(id);
    assert.deepEqual([info.state, info.numberRecordsProcessed], ['JobComplete', 0]);
    const { success, failed } = await sandbox.client.files(id);
    assert.deepEqual([success, failed], ['"sf__Id","sf__Created"\n', '"sf__Id","sf__Error"\n']);
  });

  it('answers 405 with the allowed methods, 404 below version 41, 410 for retired ones', async () => {
    const wrong = await sandbox.client.call('PUT', '/jobs/ingest', 'x');
    assert.equal(wrong.status, 405);
    assert.match(wrong.text, /Allowed are GET,POST/);
    const old = async (version: string): Promise<number> => {
      const client = new Client(sandbox.org, version);
      client.token = sandbox.client.token;
      return (await client.call('POST', '/jobs/ingest', CONTACTS)).status;
    };
    assert.deepEqual(
      [await old('40.0'), await old('41.0'), await old('30.0'), await old('99.0')],
      [404, 200, 410, 404],
    );
  });

  it('refuses other types and compressed uploads', async () => {
    const id = await sandbox.client.createJob(CONTACTS);
    const json = await sandbox.client.call('PUT', `/jobs/ingest/${id}/batches`, 'LastName\nA\n');
    assert.equal(json.status, 415);
    const headers = { 'content-type': 'text/csv', 'content-encoding': 'gzip' };
    assert.equal((await sandbox.client.call('PUT', `/jobs/ingest/${id}/batches`, 'x', headers)).status, 415);
  });

  it('gzips results for clients that accept it', async () => {
    const { id } = await sandbox.client.load(CONTACTS, 'LastName\nZip\n');
    const url = `${sandbox.org.url}/services/data/v66.0/jobs/ingest/${id}/successfulResults`;
    const { get } = await import('node:http');
    const body = await new Promise<Buffer>((resolve, reject) => {
      const headers = { authorization: `Bearer ${sandbox.client.token}`, 'accept-encoding': 'gzip' };
      get(url, { headers }, (response) => {
        assert.equal(response.headers['content-encoding'], 'gzip');
        assert.equal(response.headers['content-type'], 'text/csv; charset=UTF-8');
        response.toArray().then((chunks) => resolve(Buffer.concat(chunks)), reject);
      });
    });
    assert.match(gunzipSync(body).toString(), /"true","Zip"/);
  });
});

describe("the sandbox org's job list", () => {
  const sandbox = orgFor();

  it('pages by 1,000', async () => {
    await Promise.all(Array.from({ length: 1005 }, () => sandbox.client.createJob(CONTACTS)));
    interface Page {
      done: boolean;
      records: JobInfo[];
      nextRecordsUrl: string | null;
    }
    const first = await sandbox.client.call('GET', '/jobs/ingest');
    const page = parsed<Page>(first);
    assert.deepEqual(Object.keys(page), ['done', 'records', 'nextRecordsUrl']);
    assert.deepEqual([page.done, page.records.length], [false, 1000]);
    assert.deepEqual(Object.keys(page.records[0] ?? {}), [...COMMON, 'jobType', 'contentUrl', ...FORMAT]);
    assert.match(
      page.nextRecordsUrl ?? '',
      /^\/services\/data\/v66\.0\/jobs\/ingest\?queryLocator=01gR\w+-1000$/,
    );
    const query = page.nextRecordsUrl?.split('?')[1];
    const last = parsed<Page>(await sandbox.client.call('GET', `/jobs/ingest?${query}`));
    assert.deepEqual([last.done, last.records.length, last.nextRecordsUrl], [true, 5, null]);
    assert.equal(new Set([...page.records, ...last.records].map((job) => job.id)).size, 1005);
  });
});

describe("the sandbox org's disk", () => {
  const sandbox = orgFor({ keepUploadBytes: 100 });
  it('keeps the uploads of so many bytes: the oldest finished jobs go', async () => {
    const job = { object: 'Load_Test__c', operation: 'insert' };
    const ids: string[] = [];
    for (let n = 0; n < 4; n++) {
      ids.push((await sandbox.client.load(job, `Key__c\n${'x'.repeat(40)}\n`)).id);
    }
    const statuses = await Promise.all(ids.map((id) => sandbox.client.call('GET', `/jobs/ingest/${id}`)));
    assert.deepEqual(
      statuses.map((answer) => answer.status),
      [404, 404, 200, 200],
    );
    assert.equal(sandbox.org.audit.recordsProcessed, 4);
  });
});
