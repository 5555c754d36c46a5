import assert from 'node:assert/strict';
import { externalId, text } from '../../../sandbox/org/model/fields.ts';
import { marksOn } from '../../../sandbox/org/model/marks.ts';
import { lines, orgFor, rows } from './client.ts';

const CONTACTS = { object: 'Contact', operation: 'insert' };
const errorsOf = (failed: string): string[] => lines(failed).map((line) => line.split('","')[1] ?? '');

describe("the sandbox org's rules for records", () => {
  const sandbox = orgFor();
  const load = (csv: string, job: Record<string, string> = {}) =>
    sandbox.client.load({ ...CONTACTS, ...job }, csv);
  const contact = (key: string) =>
    [...sandbox.org.records('Contact')].find((record) => record.External_Id__c === key);

  const refused: [string, string, string][] = [
    [
      'required',
      'LastName,Email\n,a@example.com\n',
      'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --',
    ],
    [
      'e-mail',
      'LastName,Email\nA,nobody\n',
      'INVALID_EMAIL_ADDRESS:Email: invalid email address: nobody:Email --',
    ],
    [
      'length',
      `FirstName,LastName\n${'x'.repeat(41)},A\n`,
      `STRING_TOO_LONG:First Name: data value too large: ${'x'.repeat(41)} (max length=40):FirstName --`,
    ],
    [
      'picklist',
      'LastName,Level__c\nA,None\n',
      'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Level: bad value for restricted picklist field: None:Level__c --',
    ],
    [
      'validation rule',
      'LastName,Birthdate\nA,2999-01-01\n',
      'FIELD_CUSTOM_VALIDATION_EXCEPTION:Birthdate cannot be in the future.:Birthdate --',
    ],
    [
      'parent by external id',
      'LastName,Account.External_Id__c\nA,nowhere\n',
      'INVALID_FIELD:Foreign key external ID: nowhere not found for field External_Id__c in entity Account:--',
    ],
    [
      'parent id of another object',
      'LastName,AccountId\nA,003ak0000000001AAA\n',
      'MALFORMED_ID:Account ID: id value of incorrect type: 003ak0000000001AAA:AccountId --',
    ],
    [
      'absent parent',
      'LastName,AccountId\nA,001ak0000009999AAA\n',
      'INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--',
    ],
    [
      'system field',
      'LastName,CreatedDate\nA,2020-01-01T00:00:00Z\n',
      'INVALID_FIELD_FOR_INSERT_UPDATE:Unable to create/update fields: CreatedDate. Please check the security settings of this field and verify that it is read/write for your profile or permission set.:CreatedDate --',
    ],
    [
      'Id on insert',
      'Id,LastName\n003ak0000000001AAA,A\n',
      'INVALID_FIELD_FOR_INSERT_UPDATE:cannot specify Id in an insert call:Id --',
    ],
  ];
  for (const [name, csv, error] of refused) {
    it(`${name}: ${error.split(':')[0]}`, async () => {
      assert.deepEqual(errorsOf((await load(csv)).failed), [error]);
    });
  }

  it('a unique field is taken whatever the capitals, also within one chunk; the text names the other record', async () => {
    const { failed, success } = await load('LastName,External_Id__c\nA,Unique-1\nB,UNIQUE-1\n');
    const id = /"(003\w{15})"/.exec(success)?.[1];
    assert.deepEqual(errorsOf(failed), [
      `DUPLICATE_VALUE:duplicate value found: External_Id__c duplicates value on record with id: ${id}:--`,
    ]);
  });

  it('a duplicate rule', async () => {
    const { failed } = await load(
      'FirstName,LastName,Email\nAda,Dup,ada@example.com\nada,DUP,Ada@example.com\nAda,Dup,\nAda,Dup,\n',
    );
    assert.deepEqual(errorsOf(failed), ['DUPLICATES_DETECTED:Use one of these records?:--']);
  });

  it('upsert: inserts, updates, refuses a missing key and the same key twice in one chunk', async () => {
    const job = { operation: 'upsert', externalIdFieldName: 'External_Id__c' };
    const first = await load('External_Id__c,LastName\nu-1,A\nu-2,B\n,C\nu-3,D\nU-3,E\n', job);
    assert.deepEqual(errorsOf(first.failed).sort(), [
      'DUPLICATE_VALUE:Duplicate external id specified: U-3:External_Id__c --',
      'DUPLICATE_VALUE:Duplicate external id specified: u-3:External_Id__c --',
      'MISSING_ARGUMENT:External_Id__c not specified:External_Id__c --',
    ]);
    const second = await load('External_Id__c,LastName,Title\nU-1,,Dr\nu-4,,\n', job);
    assert.match(second.success, /"false","U-1"/);
    assert.deepEqual([contact('U-1')?.LastName, contact('U-1')?.Title], ['A', 'Dr']);
    assert.deepEqual(errorsOf(second.failed), [
      'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --',
    ]);
  });

  it('upsert by Id', async () => {
    const id = sandbox.org.insert('Contact', { LastName: 'ById', External_Id__c: 'by-id' });
    const { success } = await load(`Id,LastName\n${id},Changed\n,New\n`, {
      operation: 'upsert',
      externalIdFieldName: 'Id',
    });
    assert.deepEqual(
      lines(success)
        .map((line) => line.split(',')[1])
        .sort(),
      ['"false"', '"true"'],
    );
    assert.equal(contact('by-id')?.LastName, 'Changed');
  });

  it('upsert that meets several records', async () => {
    const ids = [1, 2].map((n) =>
      sandbox.org.insert('Invoice__c', { Number__c: `I${n}`, Legacy_Key__c: 'same' }),
    );
    const job = { object: 'Invoice__c', operation: 'upsert', externalIdFieldName: 'Legacy_Key__c' };
    const { failed } = await load('Legacy_Key__c,Number__c\nsame,I9\n', job);
    assert.deepEqual(errorsOf(failed), [
      `DUPLICATE_EXTERNAL_ID:Legacy Key: more than one record found for external id field: [${ids.join(', ')}]:--`,
    ]);
  });

  it('update and delete: by id, each kind of wrong one; failures carry the submitted id', async () => {
    const id = sandbox.org.insert('Contact', { LastName: 'Up', External_Id__c: 'up' });
    const gone = sandbox.org.insert('Contact', { LastName: 'Gone' });
    await sandbox.client.call('DELETE', `/sobjects/Contact/${gone}`);
    const csv = `Id,Title\n${id},Dr\n${gone},x\n003ak0000999999AAA,x\nnonsense,x\n,x\n`;
    const update = await load(csv, { operation: 'update' });
    assert.match(update.success, new RegExp(`"${id}","false","${id}","Dr"`));
    assert.deepEqual(
      lines(update.failed)
        .map((line) => line.split('","').slice(0, 2).join(' '))
        .sort(),
      [
        `" MISSING_ARGUMENT:Id not specified in an update call:--`,
        `"${gone} ENTITY_IS_DELETED:entity is deleted:--`,
        '"003ak0000999999AAA INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--',
        '"nonsense MALFORMED_ID:bad id nonsense:--',
      ].sort(),
    );
    const remove = await load(`Id\n${id}\n${id}\n`, { operation: 'delete' });
    assert.deepEqual(
      [lines(remove.success).length, errorsOf(remove.failed)],
      [1, ['ENTITY_IS_DELETED:entity is deleted:--']],
    );
    assert.equal(contact('up'), undefined);
    const again = await load('LastName,External_Id__c\nNew,up\n');
    assert.equal(again.info.numberRecordsFailed, 0, 'the key of a deleted record is free');
  });

  it('look-ups: ordinary and polymorphic', async () => {
    const account = sandbox.org.insert('Account', { Name: 'Parent', External_Id__c: 'P-1' });
    const lead = sandbox.org.insert('Lead', { LastName: 'L', Company: 'C', Email: 'lead@example.com' });
    await load('LastName,External_Id__c,Account.External_Id__c\nChild,child,p-1\n');
    assert.equal(contact('child')?.AccountId, account);
    await load('Subject,Lead:Who.Email\nCall,lead@example.com\n', { object: 'Task' });
    assert.equal([...sandbox.org.records('Task')][0]?.WhoId, lead);
  });

  it('assignment rules: by the job, and over REST by the header, whose absence means the active rule', async () => {
    const owner = (subject: string) =>
      [...sandbox.org.records('Case')].find((record) => record.Subject === subject)?.OwnerId;
    const cases = { object: 'Case' };
    await load('Subject\nnone\n', cases);
    await load('Subject\nrule\n', { ...cases, assignmentRuleId: '01Q000000000003AAA' });
    await sandbox.client.call('POST', '/sobjects/Case', { Subject: 'absent' });
    await sandbox.client.call(
      'POST',
      '/sobjects/Case',
      { Subject: 'false' },
      { 'sforce-auto-assign': 'FALSE' },
    );
    await sandbox.client.call(
      'POST',
      '/sobjects/Case',
      { Subject: 'id' },
      { 'sforce-auto-assign': '01Q000000000003AAA' },
    );
    const [load1, support, sales] = [...sandbox.org.records('User')].map((user) => user.Id);
    assert.deepEqual(['none', 'rule', 'absent', 'false', 'id'].map(owner), [
      load1,
      sales,
      support,
      load1,
      sales,
    ]);
    assert.ok(sandbox.org.audit.requests(/sobjects\/Case/).some((request) => request.autoAssign === 'FALSE'));
  });

  it('objects, fields and rules can be added', async () => {
    const { model } = sandbox.org;
    model.add({
      name: 'Thing__c',
      label: 'Thing',
      labelPlural: 'Things',
      keyPrefix: 'a99',
      custom: true,
      fields: [text('Name', 80), externalId('Code__c')],
      marks: marksOn('Code__c', 'Thing__c'),
    });
    model.addFields('Thing__c', text('Extra__c', 5));
    model.get('Thing__c').validationRules = [
      { name: 'No_X', when: [{ field: 'Name', is: 'matches', value: '^X' }], message: 'No X' },
    ];
    const { info, failed } = await load('Name,Code__c,Extra__c\nA,t-1,e\nX1,t-2,\nB,t-VALIDATION-3,\n', {
      object: 'Thing__c',
    });
    assert.equal(info.numberRecordsProcessed, 3);
    assert.deepEqual(errorsOf(failed).sort(), [
      'FIELD_CUSTOM_VALIDATION_EXCEPTION:No X:--',
      'FIELD_CUSTOM_VALIDATION_EXCEPTION:Zip code cannot be checked: ""none"", or outside the country:--',
    ]);
  });
});

describe("the sandbox org's storage limit", () => {
  const sandbox = orgFor({ storageLimit: 6 });
  it('refuses inserts beyond it', async () => {
    const { info, failed } = await sandbox.client.load(
      CONTACTS,
      rows('LastName', 4, (n) => `N${n}`),
    );
    assert.equal(info.numberRecordsFailed, 2);
    assert.equal(errorsOf(failed)[0], 'STORAGE_LIMIT_EXCEEDED:storage limit exceeded:--');
  });
});
