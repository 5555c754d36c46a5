import assert from 'node:assert/strict';
import type { ColumnDelimiter } from '../../../sandbox/org/csv/dialect.ts';
import { lines, orgFor, rows } from './client.ts';

const CONTACTS = { object: 'Contact', operation: 'insert' };

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
