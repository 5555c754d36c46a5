import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Client, lines, orgFor, parsed, rows } from './client.ts';

/**
 * The org answers what real orgs answered: key order, types, number formats and layout, with ids, dates and processing
 * times replaced on both sides.
 */
const fixture = (name: string): string =>
  readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8').trimEnd();

const VALUES: [RegExp, string][] = [
  [/(?<=["/])(?=[a-zA-Z]*\d)[0-9a-zA-Z]{18}(?=["/])/g, 'ID'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000\+0000/g, 'DATE'],
  [/("(?:totalProcessingTime|apiActiveProcessingTime)"\s*:\s*)\d+/g, '$1TIME'],
];

const withoutValues = (text: string): string =>
  VALUES.reduce((all, [pattern, by]) => all.replace(pattern, by), text);

/** Without the blanks between tokens: recordings went through different printers. */
const withoutLayout = (text: string): string => text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');

function assertSame(actual: string, name: string, replace: [string, string][] = []): void {
  const change = (text: string): string =>
    replace.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  const expected = change(fixture(name));
  assert.equal(withoutLayout(withoutValues(change(actual))), withoutLayout(withoutValues(expected)));
  // Where the recording kept the server's own layout, that is matched too.
  if (expected.includes('" : ')) {
    assert.equal(withoutValues(change(actual)), withoutValues(expected));
  }
}

const OPPORTUNITIES = { object: 'Opportunity', operation: 'upsert', externalIdFieldName: 'external_id__c' };

describe('the sandbox org answers what real orgs answered: ingest, v60', () => {
  const sandbox = orgFor({ recordsPerSecond: 20_000 });
  const client = (): Client => {
    const v60 = new Client(sandbox.org, '60.0');
    v60.token = sandbox.client.token;
    return v60;
  };

  it('create of an upsert and of a delete', async () => {
    assertSame(
      (await client().call('POST', '/jobs/ingest', OPPORTUNITIES)).text,
      'recorded-v60/create-upsert-open.json',
    );
    const remove = { object: 'Opportunity', operation: 'delete' };
    assertSame(
      (await client().call('POST', '/jobs/ingest', remove)).text,
      'recorded-v60/create-delete-open.json',
    );
  });

  it('close', async () => {
    const close = async (job: Record<string, string>): Promise<string> => {
      const id = await client().createJob(job);
      await client().upload(id, 'Id\n');
      return (await client().setState(id, 'UploadComplete')).text;
    };
    assertSame(await close(OPPORTUNITIES), 'recorded-v60/patch-uploadcomplete-upsert.json');
    assertSame(
      await close({ object: 'Opportunity', operation: 'delete' }),
      'recorded-v60/patch-uploadcomplete-delete.json',
    );
  });

  it('one failure of eight: job, failed results, successful results', async () => {
    const csv = `${fixture('recorded-v60/upload-for-partial-failure.csv')}\n`;
    const id = await client().submit(OPPORTUNITIES, csv);
    await client().finished(id);
    const info = (await client().call('GET', `/jobs/ingest/${id}`)).text;
    assertSame(info, 'recorded-v60/info-jobcomplete-1-failed-of-8.json');
    const { success, failed, unprocessed } = await client().files(id);
    assert.equal(failed, `${fixture('recorded-v60/failedResults-1-of-8.csv')}\n`);
    assert.equal(success.split('\n')[0], '"sf__Id","sf__Created",Name,StageName,external_id__c,CloseDate');
    assert.equal(lines(success).length, 7);
    assert.match(success, /^"006\w{15}","true","Roy Wyman","GENERATED","external-id-6","2003-04-05"$/m);
    assert.equal(unprocessed, 'Name,StageName,external_id__c,CloseDate\n');
  });

  it('a job that failed as a whole: every record is unprocessed', async () => {
    const upload = fixture('recorded-v60/upload-for-complete-failure.csv');
    const id = await client().submit(OPPORTUNITIES, `${upload}\n`);
    await client().finished(id);
    assertSame(
      (await client().call('GET', `/jobs/ingest/${id}`)).text,
      'recorded-v60/info-failed-invalidbatch.json',
    );
    const { success, failed, unprocessed } = await client().files(id);
    assert.equal(lines(success).length + lines(failed).length, 0);
    assert.deepEqual(
      lines(unprocessed),
      upload
        .split('\n')
        .slice(1)
        .map((line) =>
          line
            .split(',')
            .map((value) => `"${value}"`)
            .join(','),
        ),
    );
  });

  it('in progress and complete, with 3,000 records', async () => {
    const header = 'Name,StageName,external_id__c,CloseDate';
    const id = await client().submit(
      OPPORTUNITIES,
      rows(header, 3000, (n) => `N${n},Open,in-progress-${n},2003-04-05`),
    );
    const seen = new Set<number>();
    for (;;) {
      const text = (await client().call('GET', `/jobs/ingest/${id}`)).text;
      const info = parsed<{ state: string; numberRecordsProcessed: number }>({
        text,
        status: 200,
        headers: new Headers(),
      });
      if (info.state === 'JobComplete') {
        assertSame(text, 'recorded-v60/info-jobcomplete-3000.json');
        break;
      }
      if (info.state === 'InProgress') {
        seen.add(info.numberRecordsProcessed);
        assertSame(text, 'recorded-v60/info-inprogress-2000-of-3000.json', [
          [`"numberRecordsProcessed" : ${info.numberRecordsProcessed},`, '"numberRecordsProcessed" : 2000,'],
        ]);
        assert.match(text, /"totalProcessingTime" : 0,/);
      }
    }
    assert.ok(seen.size >= 3, 'the counters were seen to move');
    assert.ok([...seen].every((records) => records % 200 === 0));
  });
});

describe('the sandbox org answers what the guide shows, v66', () => {
  const sandbox = orgFor();

  it('multipart create', async () => {
    const body = [
      '--BOUNDARY',
      'Content-Type: application/json',
      'Content-Disposition: form-data; name="job"',
      '',
      '{"object":"Contact","contentType":"CSV","operation":"insert","lineEnding":"LF"}',
      '--BOUNDARY',
      'Content-Type: text/csv',
      'Content-Disposition: form-data; name="content"; filename="content"',
      '',
      'FirstName,LastName\nAda,Lovelace\nGrace,Hopper\n',
      '--BOUNDARY--',
      '',
    ].join('\r\n');
    const headers = { 'content-type': 'multipart/form-data; boundary=BOUNDARY' };
    const answer = await sandbox.client.call('POST', '/jobs/ingest', body, headers);
    assert.equal(answer.status, 200);
    assertSame(answer.text, 'docs-v66/create-multipart-uploadcomplete.json');
    const info = await sandbox.client.finished(parsed(answer).id ?? '');
    assert.equal(info.numberRecordsProcessed, 2);
    assert.deepEqual(
      [...sandbox.org.records('Contact')].map((record) => record.Name),
      ['Ada Lovelace', 'Grace Hopper'],
    );
  });

  it('errors', async () => {
    const id = await sandbox.client.createJob({ object: 'Contact', operation: 'insert' });
    const early = await sandbox.client.call('DELETE', `/jobs/ingest/${id}`);
    assert.equal(early.status, 400);
    assertSame(early.text, 'docs-v66/error-400-delete-not-terminated.json');
    const unknown = await sandbox.client.call('GET', '/jobs/ingest/750ak000009BkrxAAC');
    assert.equal(unknown.status, 404);
    assertSame(unknown.text, 'docs-v66/error-404-job-not-found.json');
  });

  it('successful results: a double is written as one, the rest comes back unchanged', async () => {
    const csv = `${fixture('docs-v66/upload-accounts.csv')}\n`;
    const { success } = await sandbox.client.load({ object: 'Account', operation: 'insert' }, csv);
    const expected = fixture('docs-v66/successfulResults-accounts.csv');
    assert.equal(success.replace(/"001\w{15}"/, 'ID'), `${expected.replace(/"001\w{15}"/, 'ID')}\n`);
  });
});

describe('the sandbox org answers what real orgs answered: records over REST', () => {
  const sandbox = orgFor();
  const collections = '/composite/sobjects';

  it('single create', async () => {
    const answer = await sandbox.client.call('POST', '/sobjects/Account', { Name: 'Acme' });
    assert.equal(answer.status, 201);
    assertSame(answer.text, 'rest/create-201.json');
  });

  it('Collections create', async () => {
    const request = JSON.parse(fixture('rest/collections-create-request.json'));
    const answer = await sandbox.client.call('POST', collections, request);
    assert.equal(answer.status, 200);
    assertSame(answer.text, 'rest/collections-create-200.json');
  });

  it('Collections without records', async () => {
    const answer = await sandbox.client.call('POST', collections, { allOrNone: false, records: [] });
    assert.equal(answer.status, 400);
    assertSame(answer.text, 'rest/collections-create-400-empty.json');
  });

  it('Collections with allOrNone: rolled back', async () => {
    const before = sandbox.org.audit.rows('Contact');
    const attributes = { type: 'Contact' };
    const create = await sandbox.client.call('POST', collections, {
      allOrNone: true,
      records: [
        { attributes, FirstName: 'Siena' },
        { attributes, LastName: 'Blevins' },
      ],
    });
    assert.equal(create.status, 200);
    assertSame(create.text, 'rest/collections-create-allOrNone-rolled-back.json');
    assert.equal(sandbox.org.audit.rows('Contact'), before);

    const id = sandbox.org.insert('Contact', { LastName: 'Dyer' });
    const update = await sandbox.client.call('PATCH', collections, {
      allOrNone: true,
      records: [
        { attributes, id, LastName: 'Changed' },
        { attributes, id, unknownField_LastName: 'x' },
      ],
    });
    assertSame(update.text, 'rest/collections-update-allOrNone-rolled-back.json');
    assert.equal([...sandbox.org.records('Contact')].find((record) => record.Id === id)?.LastName, 'Dyer');
  });

  it('Collections update without ids', async () => {
    const attributes = { type: 'Contact' };
    const records = [
      { attributes, LastName: 'A' },
      { attributes, LastName: 'B' },
    ];
    const answer = await sandbox.client.call('PATCH', collections, { allOrNone: false, records });
    assert.equal(answer.status, 200);
    assertSame(answer.text, 'rest/collections-update-no-ids.json');
  });

  it('Collections delete of a malformed id', async () => {
    const answer = await sandbox.client.call('DELETE', `${collections}?ids=001RM000003oLr-B000`);
    const [expected] = [fixture('rest/soft-error-malformed-id.json')];
    const id = /malformed id (\w+)/.exec(expected)?.[1] ?? '';
    const replaced = answer.text.replaceAll('001RM000003oLr-B000', id).slice(1, -1);
    assertSame(
      replaced.replace(`"id":"${id}"`, '"id":"001RM000003oLruYAE"'),
      'rest/soft-error-malformed-id.json',
    );
  });

  it('a field that may not be written', async () => {
    const answer = await sandbox.client.call('POST', '/sobjects/Contact', { LastName: 'A', Name: 'A' });
    assert.equal(answer.status, 400);
    assertSame(answer.text, 'rest/error-400-invalid-field-for-insert-update.json', [
      ['MasterRecordId', 'Name'],
    ]);
  });

  it('an unknown column of a query', async () => {
    const answer = await sandbox.client.call('GET', '/query?q=SELECT+AccountNumer+FROM+Account');
    assert.equal(answer.status, 400);
    assertSame(answer.text, 'rest/error-400-invalid-field-query.json');
  });

  it('a deleted record', async () => {
    const id = sandbox.org.insert('Contact', { LastName: 'Gone' });
    assert.equal((await sandbox.client.call('DELETE', `/sobjects/Contact/${id}`)).status, 204);
    const answer = await sandbox.client.call('DELETE', `/sobjects/Contact/${id}`);
    assert.equal(answer.status, 404);
    assertSame(answer.text, 'rest/error-404-entity-is-deleted.json');
  });

  it('a duplicate value: message, code, fields', async () => {
    sandbox.org.insert('Contact', { LastName: 'A', External_Id__c: 'same' });
    const answer = await sandbox.client.call('POST', '/sobjects/Contact', {
      LastName: 'B',
      External_Id__c: 'SAME',
    });
    assert.equal(answer.status, 400);
    const [expected] = JSON.parse(fixture('rest/error-400-duplicate-value.json'));
    const [actual] = parsed<Record<string, unknown>[]>(answer);
    assert.ok(actual);
    assert.deepEqual(Object.keys(actual), Object.keys(expected));
    assert.equal(actual.errorCode, expected.errorCode);
    assert.match(
      String(actual.message),
      /^duplicate value found: External_Id__c duplicates value on record with id: 003\w{15}$/,
    );
  });
});
