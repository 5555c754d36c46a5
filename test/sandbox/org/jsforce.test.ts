import assert from 'node:assert/strict';
import jsforce from 'jsforce';
import { orgFor } from './client.ts';

/** jsforce speaks to the org with its own code: what it understands, the org says as a real one does. */
describe('jsforce against the sandbox org', () => {
  const sandbox = orgFor({ requestsPerToken: 1_000_000 });

  async function connect(): Promise<jsforce.Connection> {
    const { clientId, clientSecret, username, password } = sandbox.org.credentials;
    const oauth2 = { loginUrl: sandbox.org.url, clientId, clientSecret };
    const connection = new jsforce.Connection({ oauth2, version: '66.0' });
    await connection.login(username, password);
    connection.bulk2.pollInterval = 20;
    connection.bulk2.pollTimeout = 10_000;
    return connection;
  }

  it('logs in and knows who it is', async () => {
    const connection = await connect();
    const identity = await connection.identity();
    assert.equal(identity.username, sandbox.org.credentials.username);
    assert.equal(identity.organization_id, connection.userInfo?.organizationId);
  });

  it('bulk2.loadAndWaitForResults', async () => {
    const connection = await connect();
    const input = [
      { LastName: 'Curie, "Marie"', Email: 'marie@example.com', External_Id__c: 'js-1' },
      { LastName: 'Line\nBreak', Email: 'line@example.com', External_Id__c: 'js-2' },
      { LastName: 'Bad', Email: 'no address', External_Id__c: 'js-3' },
      { LastName: null, Email: 'nobody@example.com', External_Id__c: 'js-4' },
    ];
    const results = await connection.bulk2.loadAndWaitForResults({
      object: 'Contact',
      operation: 'insert',
      input,
    });
    assert.equal(results.successfulResults.length, 2);
    assert.deepEqual(
      results.successfulResults
        .map((row) => (row as unknown as Record<string, string>).External_Id__c)
        .sort(),
      ['js-1', 'js-2'],
    );
    assert.deepEqual(results.failedResults.map((row) => row.sf__Error.split(':')[0]).sort(), [
      'INVALID_EMAIL_ADDRESS',
      'REQUIRED_FIELD_MISSING',
    ]);
    assert.equal(results.unprocessedRecords.length, 0);
    const stored = [...sandbox.org.records('Contact')].map((record) => record.LastName);
    assert.ok(stored.includes('Curie, "Marie"') && stored.includes('Line\nBreak'));
  });

  it('bulk2 upsert, update and delete, by its own job object', async () => {
    const connection = await connect();
    const upsert = { object: 'Account', operation: 'upsert', externalIdFieldName: 'External_Id__c' } as const;
    const first = await connection.bulk2.loadAndWaitForResults({
      ...upsert,
      input: [{ External_Id__c: 'A1', Name: 'One' }],
    });
    assert.equal(first.successfulResults[0]?.sf__Created, 'true');
    const second = await connection.bulk2.loadAndWaitForResults({
      ...upsert,
      input: [{ External_Id__c: 'a1', Name: 'Uno' }],
    });
    assert.equal(second.successfulResults[0]?.sf__Created, 'false');
    const Id = second.successfulResults[0]?.sf__Id ?? '';

    const job = connection.bulk2.createJob({ object: 'Account', operation: 'delete' });
    await job.open();
    await job.uploadData([{ Id }]);
    await job.close();
    await job.poll(20, 10_000);
    assert.deepEqual((await job.getFailedResults()).length, 0);
    assert.equal((await job.check()).state, 'JobComplete');
    await job.delete();
    assert.equal([...sandbox.org.records('Account')].length, 0);
  });

  it('an empty load gives no rows and no error', async () => {
    const connection = await connect();
    const job = connection.bulk2.createJob({ object: 'Account', operation: 'insert' });
    await job.open();
    await job.uploadData([]);
    await job.close();
    await job.poll(20, 10_000);
    const results = await job.getAllResults();
    assert.deepEqual(results, { successfulResults: [], failedResults: [], unprocessedRecords: [] });
  });

  it('sObject Collections: create, update, upsert, retrieve, destroy', async () => {
    const connection = await connect();
    const contacts = connection.sobject('Contact');
    const created = await contacts.create([{ LastName: 'One' }, { LastName: '' }, { LastName: 'Three' }], {
      allOrNone: false,
    });
    assert.deepEqual(
      created.map((result) => result.success),
      [true, false, true],
    );
    const ids = created.flatMap((result) => (result.id === undefined ? [] : [result.id]));
    const updated = await contacts.update(ids.map((Id) => ({ Id, Title: 'Dr' })));
    assert.ok(updated.every((result) => result.success));
    const upserted = await contacts.upsert(
      [
        { External_Id__c: 'c-1', LastName: 'New' },
        { External_Id__c: 'c-2', LastName: 'New' },
      ],
      'External_Id__c',
    );
    assert.ok(upserted.every((result) => result.success));
    const found = await contacts.retrieve(ids);
    assert.deepEqual(
      found.map((record) => record.Title),
      ['Dr', 'Dr'],
    );
    const destroyed = await contacts.destroy(ids);
    assert.ok(destroyed.every((result) => result.success));
  });

  it('single records, describe, limits, query', async () => {
    const connection = await connect();
    const { id } = await connection.sobject('Lead').create({ LastName: 'Lead', Company: 'Acme' });
    const { records } = await connection.query(`SELECT Id, Name, Status FROM Lead WHERE Id = '${id}'`);
    assert.equal(records[0]?.Name, 'Lead');
    assert.equal(records[0]?.Status, 'Open - Not Contacted');
    const contact = await connection.sobject('Contact').describe();
    const field = contact.fields.find((each) => each.name === 'External_Id__c');
    assert.ok(field?.externalId && field.unique && field.idLookup);
    assert.equal(contact.fields.find((each) => each.name === 'Name')?.createable, false);
    assert.ok((await connection.describeGlobal()).sobjects.some((each) => each.name === 'Load_Test__c'));
    assert.ok((await connection.limits()).DailyApiRequests?.Max);
    const { records: orgs } = await connection.query('SELECT Id, Name FROM Organization LIMIT 1');
    assert.equal(orgs[0]?.Name, 'Sandbox Org');
  });

  it('follows the pages of a query', async () => {
    const connection = await connect();
    for (let n = 0; n < 2100; n++) {
      sandbox.org.insert('Campaign', { Name: `C${n}` });
    }
    const first = await connection.query('SELECT Name FROM Campaign');
    assert.equal(first.done, false);
    const second = await connection.queryMore(first.nextRecordsUrl ?? '');
    assert.equal(second.done, true);
    const names = [...first.records, ...second.records].map((record) => record.Name);
    assert.equal(new Set(names).size, 2100);
  });
});
