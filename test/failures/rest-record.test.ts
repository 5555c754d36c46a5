import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type DescribedObject, RestRecords } from '../../src/failures/rest-record.ts';

const CONTACT: DescribedObject = {
  fields: [
    { name: 'Id', type: 'id' },
    { name: 'LastName', type: 'string' },
    { name: 'Score__c', type: 'double' },
    { name: 'Credit_Limit__c', type: 'currency' },
    { name: 'Rate__c', type: 'percent' },
    { name: 'Visits__c', type: 'int' },
    { name: 'Big__c', type: 'long' },
    { name: 'DoNotCall', type: 'boolean' },
    { name: 'Birthdate', type: 'date' },
    { name: 'Last_Visit__c', type: 'datetime' },
    { name: 'Photo__c', type: 'base64' },
    { name: 'Tags__c', type: 'multipicklist' },
    { name: 'AccountId', type: 'reference', relationshipName: 'Account', referenceTo: ['Account'] },
    { name: 'Branch__c', type: 'reference', relationshipName: 'Branch__r', referenceTo: ['Branch__c'] },
    { name: 'WhoId', type: 'reference', relationshipName: 'Who', referenceTo: ['Contact', 'Lead'] },
  ],
};

const fieldsOf = (record: Record<string, unknown>) => new RestRecords(CONTACT).toRest(record).fields;

describe('a CSV record as REST takes it', () => {
  const CASES: [string, Record<string, unknown>, Record<string, unknown>][] = [
    [
      'leaves empty values out and clears #N/A',
      { LastName: 'A', Score__c: '', Birthdate: '#N/A' },
      { LastName: 'A', Birthdate: null },
    ],
    [
      'types numbers',
      { Score__c: '1.5', Credit_Limit__c: '-9.12260031E8', Rate__c: '+.5', Visits__c: '07' },
      { Score__c: 1.5, Credit_Limit__c: -912260031, Rate__c: 0.5, Visits__c: 7 },
    ],
    [
      'sends a number as text when a double would lose digits',
      { Credit_Limit__c: '1234567890123456.78', Big__c: '9007199254740993' },
      { Credit_Limit__c: '1234567890123456.78', Big__c: '9007199254740993' },
    ],
    [
      'leaves text that is no number to Salesforce',
      { Score__c: '1,5', Visits__c: ' 7', Rate__c: '0x10' },
      { Score__c: '1,5', Visits__c: ' 7', Rate__c: '0x10' },
    ],
    ['types booleans in all their spellings', { DoNotCall: 'true' }, { DoNotCall: true }],
    ['types 0 as false', { DoNotCall: '0' }, { DoNotCall: false }],
    ['types FALSE as false', { DoNotCall: 'FALSE' }, { DoNotCall: false }],
    ['leaves other words for a boolean to Salesforce', { DoNotCall: 'yes' }, { DoNotCall: 'yes' }],
    ['takes the offset off a date', { Birthdate: '1940-06-07Z' }, { Birthdate: '1940-06-07' }],
    [
      'keeps dates and times',
      { Birthdate: '1940-06-07', Last_Visit__c: '2026-01-02T03:04:05.000Z' },
      { Birthdate: '1940-06-07', Last_Visit__c: '2026-01-02T03:04:05.000Z' },
    ],
    [
      'keeps text as it is',
      { LastName: ' 007 ', Photo__c: 'aGVsbG8=', Tags__c: 'a;b' },
      { LastName: ' 007 ', Photo__c: 'aGVsbG8=', Tags__c: 'a;b' },
    ],
    [
      'nests a parent',
      { 'Account.External_Id__c': 'A-1', 'Branch__r.Code__c': '7' },
      { Account: { External_Id__c: 'A-1' }, Branch__r: { Code__c: '7' } },
    ],
    [
      'nests a polymorphic parent with its type',
      { 'Lead:Who.Email': 'a@b.example' },
      { Who: { attributes: { type: 'Lead' }, Email: 'a@b.example' } },
    ],
    [
      'leaves an empty parent out, clears the lookup for #N/A',
      { 'Account.External_Id__c': '', 'Branch__r.Code__c': '#N/A' },
      { Branch__c: null },
    ],
    [
      'knows columns whatever their capitals',
      { lastname: 'A', SCORE__C: '2', 'account.External_Id__c': 'A' },
      { LastName: 'A', Score__c: 2, Account: { External_Id__c: 'A' } },
    ],
    ['lets unknown columns through', { Naam: 'x', 'Foo.Bar': 'y' }, { Naam: 'x', Foo: { Bar: 'y' } }],
    [
      'takes typed values as they are',
      {
        Score__c: 3,
        DoNotCall: true,
        LastName: null,
        Account: { External_Id__c: 'A' },
        Visits__c: undefined,
      },
      { Score__c: 3, DoNotCall: true, LastName: null, Account: { External_Id__c: 'A' } },
    ],
    [
      'writes what JSON has no words for',
      {
        Birthdate: new Date('1940-06-07T12:00:00Z'),
        Last_Visit__c: new Date('2026-01-02T03:04:05Z'),
        Visits__c: 7n,
        Photo__c: Buffer.from('hello'),
      },
      {
        Birthdate: '1940-06-07',
        Last_Visit__c: '2026-01-02T03:04:05.000Z',
        Visits__c: 7,
        Photo__c: 'aGVsbG8=',
      },
    ],
    [
      'drops what is not of the record',
      { sf__Id: 'x', sf__Error: 'y', attributes: { type: 'Contact' }, LastName: 'A' },
      { LastName: 'A' },
    ],
  ];
  for (const [what, record, expected] of CASES) {
    it(what, () => assert.deepEqual(fieldsOf(record), expected));
  }

  it('keeps the Id apart, whatever its capitals', () => {
    const records = new RestRecords(CONTACT);
    assert.deepEqual(records.toRest({ ID: '003xx0000000001AAA', LastName: 'A' }), {
      id: '003xx0000000001AAA',
      fields: { LastName: 'A' },
    });
    assert.equal(records.toRest({ Id: '' }).id, undefined);
  });

  it('never changes an amount, however many digits it has (property)', () => {
    const amount = fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }).map((cents) => {
      const digits = String(cents < 0n ? -cents : cents).padStart(3, '0');
      return `${cents < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
    });
    fc.assert(
      fc.property(amount, (text) => {
        const value = fieldsOf({ Credit_Limit__c: text }).Credit_Limit__c;
        assert.equal(typeof value === 'number' ? value.toFixed(2) : value, text);
      }),
      { seed: 20260302, numRuns: 2_000 },
    );
  });
});
