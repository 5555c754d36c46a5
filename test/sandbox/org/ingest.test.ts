import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import type { ColumnDelimiter } from '../../../sandbox/org/csv/dialect.ts';
import { Client, type JobInfo, lines, orgFor, parsed, rows } from './client.ts';

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

describe("the sandbox org's CSV rules", () => {
  const sandbox = orgFor();
  const load = (csv: string, job: Record<string, string> = {}) =>
    sandbox.client.load({ ...CONTACTS, ...job }, csv);

  const failures: [string, string, string, Record<string, string>?][] = [
    ['unknown column', 'LastName,Email__c,Other\nA,b,c\n', 'InvalidBatch : Field name not found : Email__c'],
    ['a compound column', 'Name,Email\nA,\n', 'InvalidBatch : Field name not found : Name'],
    ['another delimiter', 'LastName;Email\nA;b\n', 'InvalidBatch : Field name not found : LastName;Email'],
    [
      'a BOM before a bare header',
      '\uFEFFLastName\nA\n',
      'InvalidBatch : Field name not found : \uFEFFLastName',
    ],
    [
      'a BOM before a quoted header',
      '\uFEFF"LastName"\nA\n',
      'InvalidBatch : Failed to parse CSV. Found unescaped quote. A value with quote should be within a quote',
    ],
    [
      'CRLF in an LF job',
      'LastName\r\nA\r\n',
      'ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF',
    ],
    [
      'LF in a CRLF job',
      'LastName\nA\n',
      'ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF',
      { lineEnding: 'CRLF' },
    ],
    [
      'an unclosed quote',
      'LastName\n"A\n',
      'InvalidBatch : Failed to parse CSV. EOF reached before closing an opened quote',
    ],
    ['a bad relationship', 'LastName,Boss.Ext__c\nA,1\n', 'InvalidBatch : Unable to find relationship: Boss'],
    [
      'a type where none is needed',
      'LastName,Account:Account.External_Id__c\nA,1\n',
      'InvalidBatch : type is not needed for non polymorphic foreign key references: Account',
    ],
    [
      'a polymorphic look-up without its type',
      'Subject,Who.External_Id__c\nA,1\n',
      'InvalidBatch : Field name not found : Who.External_Id__c',
      { object: 'Task' },
    ],
    [
      'a look-up by a field that is no key',
      'LastName,Account.Phone\nA,1\n',
      'InvalidBatch : Field name not found : Account.Phone',
    ],
    [
      'an upsert without its key',
      'LastName\nA\n',
      'InvalidBatch : Field name not found : External_Id__c',
      { operation: 'upsert', externalIdFieldName: 'External_Id__c' },
    ],
    [
      'a delete with more than Id',
      'Id,LastName\n1,2\n',
      'InvalidBatch : Field name not found : LastName',
      { operation: 'delete' },
    ],
    ['the same column twice', 'LastName,lastname\nA,B\n', 'InvalidBatch : Duplicate field name : lastname'],
  ];
  for (const [name, csv, errorMessage, job = {}] of failures) {
    it(`${name}: the whole job fails before any record`, async () => {
      const before = sandbox.org.audit.rows('Contact');
      const { info } = await load(csv, job);
      assert.deepEqual([info.state, info.errorMessage], ['Failed', errorMessage]);
      assert.deepEqual([info.numberRecordsProcessed, info.numberRecordsFailed], [0, 0]);
      assert.equal(Object.keys(info).at(-1), 'errorMessage');
      assert.equal(sandbox.org.audit.rows('Contact'), before);
    });
  }

  it('header names are matched whatever their capitals, and echoed as they were written, quotes included', async () => {
    const { success } = await load('"LASTNAME",firstname\n"A",B\n');
    assert.equal(success.split('\n')[0], '"sf__Id","sf__Created","LASTNAME",firstname');
    assert.match(success, /"true","A","B"/);
  });

  it('all six delimiters, in upload and results', async () => {
    const delimiters: Record<ColumnDelimiter, string> = {
      BACKQUOTE: '`',
      CARET: '^',
      COMMA: ',',
      PIPE: '|',
      SEMICOLON: ';',
      TAB: '\t',
    };
    for (const [columnDelimiter, sign] of Object.entries(delimiters)) {
      const { success, info } = await load(`LastName${sign}FirstName\n"a${sign}b"${sign}F\n`, {
        columnDelimiter,
      });
      assert.equal(info.numberRecordsFailed, 0, info.errorMessage);
      assert.equal(success.split('\n')[0], `"sf__Id"${sign}"sf__Created"${sign}LastName${sign}FirstName`);
      assert.ok(success.includes(`"true"${sign}"a${sign}b"${sign}"F"`));
    }
  });

  it('CRLF, line breaks in values, no final line end', async () => {
    const { success } = await load('LastName,Description\r\nA,"one\r\ntwo"\r\nB,"q ""x"""', {
      lineEnding: 'CRLF',
    });
    assert.ok(success.includes('"one\r\ntwo"'));
    assert.ok(success.includes('"q ""x"""'));
  });

  it('a blank beside a quote, too many and too few columns fail their row only', async () => {
    const { info, failed } = await load('LastName,FirstName\nA,B\n"C" ,D\nE,F,G\nH\n');
    assert.deepEqual(
      [info.state, info.numberRecordsProcessed, info.numberRecordsFailed],
      ['JobComplete', 4, 3],
    );
    assert.ok(lines(failed).every((line) => line.startsWith('"","InvalidBatch:')));
  });

  it('values: typed, cleared by #N/A, ignored when empty', async () => {
    const header = 'LastName,External_Id__c,Birthdate,DoNotCall,Score__c,Visits__c,Last_Visit__c';
    const { success } = await load(`${header}\nA,v-1,1940-06-07Z,1,1.5e3,007,2024-02-29T12:00:00+02:00\n`);
    assert.match(success, /"A","v-1","1940-06-07","true","1500\.0","7","2024-02-29T10:00:00\.000Z"/);
    const upsert = { operation: 'upsert', externalIdFieldName: 'External_Id__c' };
    await load('External_Id__c,Birthdate,Score__c\nv-1,#N/A,\n', upsert);
    const stored = [...sandbox.org.records('Contact')].find((record) => record.External_Id__c === 'v-1');
    assert.deepEqual([stored?.Birthdate, stored?.Score__c, stored?.DoNotCall], [null, 1500, true]);
  });

  it('a value of the wrong type is named with its column counted from 0', async () => {
    const { failed } = await load(
      'LastName,Birthdate,Score__c,Visits__c,Last_Visit__c,DoNotCall\n' +
        'A,2024-02-30,,,,\nB,,1.2.3,,,\nC,,,1.5,,\nD,,,,2024-01-01 10:00:00Z,\nE,,,,,yes\n',
    );
    const expected = [
      ['1', '2024-02-30', 'xsd:date', 'Birthdate'],
      ['2', '1.2.3', 'xsd:double', 'Score__c'],
      ['3', '1.5', 'xsd:int', 'Visits__c'],
      ['4', '2024-01-01 10:00:00Z', 'xsd:dateTime', 'Last_Visit__c'],
      ['5', 'yes', 'xsd:boolean', 'DoNotCall'],
    ];
    for (const [column, value, type, field] of expected) {
      const error = `INVALID_FIELD:Failed to deserialize field at col ${column}. Due to, '${value}' is not a valid value for the type ${type}:${field} --`;
      assert.ok(failed.includes(`"","${error}"`), error);
    }
  });

  it('results come shuffled, each record once', async () => {
    const { success } = await load(rows('LastName', 1500, (n) => `Order ${n}`));
    const order = lines(success).map((line) => Number(/Order (\d+)/.exec(line)?.[1]));
    assert.notDeepEqual(
      order.slice(0, 20),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      Array.from({ length: 1500 }, (_, i) => i + 1),
    );
  });
});

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
