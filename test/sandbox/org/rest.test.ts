import assert from 'node:assert/strict';
import { parseSoql } from '../../../sandbox/org/rest/soql.ts';
import { Client, orgFor, parsed } from './client.ts';

describe("the sandbox org's single records", () => {
  const sandbox = orgFor();
  const call: Client['call'] = (...args) => sandbox.client.call(...args);
  const byKey = '/sobjects/Contact/External_Id__c';

  it('upsert by external id: 201, 200, both with created; the key is URL-decoded and may not repeat in the body', async () => {
    const created = await call('PATCH', `${byKey}/a%2Fb%20c`, { LastName: 'A' });
    assert.equal(created.status, 201);
    assert.match(created.text, /^\{"id":"003\w{15}","success":true,"errors":\[\],"created":true\}$/);
    const updated = await call('PATCH', `${byKey}/A%2FB%20C`, { LastName: 'B' });
    assert.equal(updated.status, 200);
    assert.match(updated.text, /"created":false\}$/);
    const { LastName, External_Id__c } = parsed(
      await call('GET', `${byKey}/a%2Fb%20c?fields=LastName,External_Id__c`),
    );
    assert.deepEqual([LastName, External_Id__c], ['B', 'A/B C']);
    assert.equal((await call('PATCH', `${byKey}/x`, { LastName: 'A', External_Id__c: 'x' })).status, 400);
  });

  it('upsert up to v45: 204 on update, no created', async () => {
    const old = new Client(sandbox.org, '45.0');
    old.token = sandbox.client.token;
    assert.deepEqual(Object.keys(parsed(await old.call('PATCH', `${byKey}/old`, { LastName: 'A' }))), [
      'id',
      'success',
      'errors',
    ]);
    assert.equal((await old.call('PATCH', `${byKey}/old`, { LastName: 'B' })).status, 204);
  });

  it('300 lists the records when several match', async () => {
    const ids = [1, 2].map((n) =>
      sandbox.org.insert('Invoice__c', { Number__c: `M${n}`, Legacy_Key__c: 'many' }),
    );
    for (const [method, body] of [['GET'], ['DELETE'], ['PATCH', { Number__c: 'M3' }]] as [
      string,
      Record<string, string>?,
    ][]) {
      const answer = await call(method, '/sobjects/Invoice__c/Legacy_Key__c/many', body);
      assert.equal(answer.status, 300);
      assert.deepEqual(
        JSON.parse(answer.text),
        ids.map((id) => `/services/data/v66.0/sobjects/Invoice__c/${id}`),
      );
    }
  });

  it('unknown field, object, id, key', async () => {
    assert.match((await call('PATCH', '/sobjects/Contact/Nothing__c/1', {})).text, /"errorCode":"NOT_FOUND"/);
    assert.equal((await call('POST', '/sobjects/Nothing__c', {})).status, 404);
    assert.equal((await call('GET', `${byKey}/nobody`)).status, 404);
    const missing = await call('PATCH', '/sobjects/Contact/003ak0000999999AAA', { LastName: 'A' });
    assert.deepEqual(
      [missing.status, JSON.parse(missing.text)[0].errorCode],
      [400, 'INVALID_CROSS_REFERENCE_KEY'],
    );
    const column = await call('POST', '/sobjects/Contact', { LastName: 'A', Nope__c: 1 });
    assert.equal(
      column.text,
      `[{"message":"No such column 'Nope__c' on sobject of type Contact","errorCode":"INVALID_FIELD"}]`,
    );
    const typed = await call('POST', '/sobjects/Contact', { LastName: 'A', Birthdate: 'soon' });
    assert.deepEqual([typed.status, JSON.parse(typed.text)[0].errorCode], [400, 'JSON_PARSER_ERROR']);
    assert.equal((await call('POST', '/sobjects/Contact', '{"LastName":')).status, 400);
  });

  it('update, read, delete by id and by key', async () => {
    const { id } = parsed(
      await call('POST', '/sobjects/Contact', {
        LastName: 'Life',
        Score__c: 1.5,
        DoNotCall: true,
        External_Id__c: 'life',
      }),
    );
    assert.equal(
      (await call('PATCH', `/sobjects/Contact/${id}`, { Score__c: null, Visits__c: '3' })).status,
      204,
    );
    const read = parsed<Record<string, unknown>>(await call('GET', `/sobjects/Contact/${id}`));
    assert.deepEqual([read.Score__c, read.Visits__c, read.DoNotCall, read.Name], [null, 3, true, 'Life']);
    assert.equal((await call('DELETE', `${byKey}/life`)).status, 204);
    const gone = await call('GET', `/sobjects/Contact/${id}`);
    assert.deepEqual([gone.status, JSON.parse(gone.text)[0].errorCode], [404, 'ENTITY_IS_DELETED']);
    assert.equal(
      (await call('POST', '/sobjects/Contact/Id', { LastName: 'Through the upsert route' })).status,
      201,
    );
    assert.equal((await call('POST', `/sobjects/Contact/${id}`, {})).status, 405);
  });

  it('parents as nested objects, polymorphic ones with their type', async () => {
    const account = sandbox.org.insert('Account', { Name: 'P', External_Id__c: 'P' });
    const { id } = parsed(
      await call('POST', '/sobjects/Contact', { LastName: 'C', Account: { External_Id__c: 'P' } }),
    );
    assert.equal(parsed(await call('GET', `/sobjects/Contact/${id}`)).AccountId, account);
    sandbox.org.insert('Lead', { LastName: 'L', Company: 'C', Email: 'l@example.com' });
    const task = await call('POST', '/sobjects/Task', {
      Who: { attributes: { type: 'Lead' }, Email: 'l@example.com' },
    });
    assert.equal(task.status, 201);
    const wrong = await call('POST', '/sobjects/Contact', {
      LastName: 'C',
      Account: { External_Id__c: 'Q' },
    });
    assert.match(
      wrong.text,
      /Foreign key external ID: q not found for field External_Id__c in entity Account/,
    );
  });
});

describe("the sandbox org's Collections", () => {
  const sandbox = orgFor();
  const path = '/composite/sobjects';
  const contact = (fields: Record<string, unknown>) => ({ attributes: { type: 'Contact' }, ...fields });
  type Results = {
    id?: string;
    success: boolean;
    created?: boolean;
    errors: { statusCode: string; fields: string[] }[];
  }[];
  const send = async (method: string, url: string, records: unknown[], allOrNone = false): Promise<Results> =>
    parsed<Results>(await sandbox.client.call(method, url, { allOrNone, records }));

  it('judges each record for itself, several objects in one call', async () => {
    const results = await send('POST', path, [
      contact({ LastName: 'A' }),
      contact({ LastName: 'B', Email: 'bad' }),
      { attributes: { type: 'Account' }, Name: 'C' },
      { attributes: { type: 'Nothing' }, Name: 'D' },
    ]);
    assert.deepEqual(
      results.map((result) => result.success),
      [true, false, true, false],
    );
    assert.deepEqual(Object.keys(results[1] ?? {}), ['success', 'errors']);
    assert.deepEqual(results[1]?.errors[0]?.fields, ['Email']);
    assert.match(results[2]?.id ?? '', /^001/);
  });

  it('upserts with created, and refuses more than 200', async () => {
    const url = `${path}/Contact/External_Id__c`;
    const first = await send('PATCH', url, [
      contact({ External_Id__c: 'k1', LastName: 'A' }),
      contact({ LastName: 'B' }),
    ]);
    assert.deepEqual([first[0]?.created, first[1]?.errors[0]?.statusCode], [true, 'MISSING_ARGUMENT']);
    const second = await send('PATCH', url, [contact({ External_Id__c: 'K1', LastName: 'A2' })]);
    assert.deepEqual([second[0]?.created, second[0]?.id], [false, first[0]?.id]);
    const many = await sandbox.client.call('POST', path, {
      records: Array.from({ length: 201 }, () => contact({ LastName: 'x' })),
    });
    assert.equal(many.status, 400);
    assert.equal(sandbox.org.audit.rows('Contact'), 2);
  });

  it('deletes by ids, and with allOrNone gives everything back', async () => {
    const ids = ['D1', 'D2'].map((LastName) =>
      sandbox.org.insert('Contact', { LastName, External_Id__c: LastName }),
    );
    const remove = async (list: string[], allOrNone: boolean): Promise<Results> =>
      parsed<Results>(
        await sandbox.client.call('DELETE', `${path}?ids=${list.join(',')}&allOrNone=${allOrNone}`),
      );
    const rows = sandbox.org.audit.rows('Contact');
    const rolledBack = await remove([...ids, '003ak0000999999AAA'], true);
    assert.deepEqual(
      rolledBack.map((result) => result.errors[0]?.statusCode),
      [
        'ALL_OR_NONE_OPERATION_ROLLED_BACK',
        'ALL_OR_NONE_OPERATION_ROLLED_BACK',
        'INVALID_CROSS_REFERENCE_KEY',
      ],
    );
    assert.equal(sandbox.org.audit.rows('Contact'), rows);
    assert.equal((await sandbox.client.call('GET', '/sobjects/Contact/External_Id__c/D1')).status, 200);
    assert.deepEqual(
      (await remove(ids, false)).map((result) => result.success),
      [true, true],
    );
    assert.equal(sandbox.org.audit.rows('Contact'), rows - 2);
  });

  it('rolls back inserts and updates: keys are free, values are the old ones', async () => {
    const id = sandbox.org.insert('Contact', { LastName: 'Old', External_Id__c: 'roll' });
    await send(
      'PATCH',
      path,
      [contact({ id, LastName: 'New', External_Id__c: 'rolled' }), contact({ id: 'bad', LastName: 'x' })],
      true,
    );
    const { LastName, External_Id__c } = parsed(await sandbox.client.call('GET', `/sobjects/Contact/${id}`));
    assert.deepEqual([LastName, External_Id__c], ['Old', 'roll']);
    await send('POST', path, [contact({ LastName: 'N', External_Id__c: 'free' }), contact({})], true);
    const [again] = await send('POST', path, [contact({ LastName: 'N', External_Id__c: 'free' })]);
    assert.equal(again?.success, true);
  });
});

describe("the sandbox org's answers about itself", () => {
  const sandbox = orgFor({ apiBudget: 5000 });
  const get = async <T>(path: string): Promise<T> => parsed<T>(await sandbox.client.call('GET', path));

  it('versions without a usage header, resources, limits', async () => {
    const versions = await fetch(`${sandbox.org.url}/services/data`);
    assert.equal(versions.headers.get('sforce-limit-info'), null);
    assert.ok(((await versions.json()) as { version: string }[]).some(({ version }) => version === '66.0'));
    assert.ok('sobjects' in (await get<object>('/')));
    assert.equal((await fetch(`${sandbox.org.url}//services/data`)).status, 200, 'a doubled slash is one');
    type Limits = Record<string, { Max: number; Remaining: number }>;
    await sandbox.client.load({ object: 'Contact', operation: 'insert' }, 'LastName\nA\n');
    const limits = await get<Limits>('/limits');
    assert.equal(limits.DailyApiRequests?.Max, 5000);
    assert.ok((limits.DailyApiRequests?.Remaining ?? 0) < 5000);
    assert.equal(limits.DailyBulkApiBatches?.Remaining, 14_999);
    assert.ok((limits.DataStorageMB?.Remaining ?? 0) < (limits.DataStorageMB?.Max ?? 0));
  });

  it('describes objects and fields', async () => {
    interface Described {
      name: string;
      fields: {
        name: string;
        type: string;
        referenceTo: string[];
        relationshipName: string | null;
        polymorphicForeignKey: boolean;
        nillable: boolean;
        restrictedPicklist: boolean;
        createable: boolean;
      }[];
    }
    const task = await get<Described>('/sobjects/Task/describe');
    const who = task.fields.find((field) => field.name === 'WhoId');
    assert.deepEqual(
      [who?.referenceTo, who?.relationshipName, who?.polymorphicForeignKey],
      [['Contact', 'Lead'], 'Who', true],
    );
    const contact = await get<Described>('/sobjects/contact/describe');
    const field = (name: string) => contact.fields.find((each) => each.name === name);
    assert.deepEqual(
      [
        field('LastName')?.nillable,
        field('Name')?.createable,
        field('Level__c')?.restrictedPicklist,
        field('Birthdate')?.type,
      ],
      [false, false, true, 'date'],
    );
    assert.equal((await sandbox.client.call('GET', '/sobjects/Nothing/describe')).status, 404);
  });

  interface Found {
    totalSize: number;
    records: Record<string, unknown>[];
  }
  const query = (soql: string): Promise<Found> => get<Found>(`/query?q=${encodeURIComponent(soql)}`);

  it('queries by key, list, time, parent; counts and orders', async () => {
    const account = sandbox.org.insert('Account', { Name: "O'Neil", External_Id__c: 'Q' });
    for (let n = 1; n <= 5; n++) {
      sandbox.org.insert('Contact', {
        LastName: `Q${n}`,
        External_Id__c: `q-${n}`,
        Score__c: n,
        AccountId: account,
      });
    }
    const byKey = await query("SELECT Id, LastName FROM Contact WHERE External_Id__c = 'Q-3'");
    assert.equal(byKey.records[0]?.LastName, 'Q3');
    const byList = await query(
      "SELECT LastName FROM Contact WHERE External_Id__c IN ('q-1', 'q-5', 'nope') ORDER BY LastName DESC",
    );
    assert.deepEqual(
      byList.records.map((record) => record.LastName),
      ['Q5', 'Q1'],
    );
    const since = new Date(Date.now() - 60_000).toISOString();
    const byTime = await query(
      `SELECT Id FROM Contact WHERE CreatedDate >= ${since} AND Score__c > 2 AND Account.Name = 'o\\'neil'`,
    );
    assert.equal(byTime.totalSize, 3);
    const future = await query(
      `SELECT Id FROM Contact WHERE CreatedDate > ${new Date(Date.now() + 60_000).toISOString()}`,
    );
    assert.equal(future.totalSize, 0);
    const parent = await query(
      "SELECT LastName, Account.Name, Account.External_Id__c FROM Contact WHERE External_Id__c = 'q-1'",
    );
    assert.deepEqual(Object.keys(parent.records[0]?.Account ?? {}), ['attributes', 'Name', 'External_Id__c']);
    assert.equal((await query("SELECT COUNT() FROM Contact WHERE LastName LIKE 'Q%'")).totalSize, 5);
    assert.equal((await query('SELECT Id FROM Contact WHERE External_Id__c != null LIMIT 2')).totalSize, 2);
    const id = sandbox.org.insert('Contact', { LastName: 'ById' });
    assert.equal(
      (await query(`SELECT Name FROM Contact WHERE Id = '${id.slice(0, 15)}'`)).records[0]?.Name,
      'ById',
    );
  });

  it('refuses queries that it does not understand', async () => {
    const refused = async (soql: string): Promise<string> =>
      JSON.parse((await sandbox.client.call('GET', `/query?q=${encodeURIComponent(soql)}`)).text)[0]
        .errorCode;
    assert.equal(await refused('SELECT FROM Contact'), 'MALFORMED_QUERY');
    assert.equal(await refused('SELECT Id FROM Contact WHERE'), 'MALFORMED_QUERY');
    assert.equal(await refused('SELECT Id FROM Nothing'), 'INVALID_TYPE');
    assert.equal(await refused("SELECT Id FROM Contact WHERE Nope = '1'"), 'INVALID_FIELD');
  });

  it('reads quoted text with escapes', () => {
    const { conditions } = parseSoql(String.raw`select Id from X where A = 'it\'s \\ \n' and B in ('1','2')`);
    assert.deepEqual(
      conditions.map((condition) => condition.values),
      [["it's \\ \n"], ['1', '2']],
    );
  });
});
