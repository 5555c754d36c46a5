import assert from 'node:assert/strict';
import { isLoadError } from '../../src/errors.ts';
import type { JobSpec, Operation } from '../../src/job.ts';
import { checkColumns, fieldLengths } from '../../src/load/check-columns.ts';
import type { FieldDescription, ObjectDescription } from '../../src/salesforce/describe.ts';

function field(name: string, change: Partial<FieldDescription> = {}): FieldDescription {
  return {
    name,
    label: name,
    type: 'string',
    length: 80,
    precision: 0,
    scale: 0,
    nillable: true,
    createable: true,
    updateable: true,
    externalId: false,
    idLookup: false,
    unique: false,
    caseSensitive: false,
    defaultedOnCreate: false,
    calculated: false,
    referenceTo: [],
    relationshipName: null,
    picklistValues: [],
    restrictedPicklist: false,
    inlineHelpText: null,
    ...change,
  };
}

const CONTACT: ObjectDescription = {
  name: 'Contact',
  label: 'Contact',
  custom: false,
  createable: true,
  updateable: true,
  deletable: true,
  queryable: true,
  fields: [
    field('Id', { createable: false, updateable: false, length: 18 }),
    field('Name', { createable: false, updateable: false }),
    field('LastName'),
    field('AccountId', {
      type: 'reference',
      relationshipName: 'Account',
      referenceTo: ['Account'],
      length: 18,
    }),
    field('External_Id__c', { createable: false, updateable: false, externalId: true }),
    field('Born__c', { updateable: false }),
    field('Score__c', { type: 'double', length: 0 }),
  ],
};

function spec(operation: Operation, externalIdField: string | null = null): JobSpec {
  return {
    object: 'Contact',
    operation,
    externalIdField,
    columnDelimiter: 'COMMA',
    lineEnding: 'LF',
    assignmentRuleId: null,
  };
}

describe('the check of columns', () => {
  const fine: [Operation, string[], string?][] = [
    ['insert', ['LastName', 'Account.External_Id__c', 'Account:Account.Name', 'Born__c']],
    ['insert', ['lastname']],
    ['update', ['Id', 'LastName']],
    ['upsert', ['External_Id__c', 'LastName', 'Born__c'], 'External_Id__c'],
    ['delete', ['Id']],
  ];
  for (const [operation, columns, externalId] of fine) {
    it(`takes ${columns.join(', ')} for ${operation}`, () => {
      checkColumns(CONTACT, spec(operation, externalId ?? null), columns);
    });
  }

  it('names every column that the object does not have, and every one that cannot be written', () => {
    assert.throws(
      () => checkColumns(CONTACT, spec('insert'), ['LastName', 'Foo__c', 'Owner.Email', 'Name']),
      (error) =>
        isLoadError(error, 'CONFIG_INVALID') &&
        /no field Foo__c, Owner\.Email/.test(error.message) &&
        /Name of Contact cannot be written by insert/.test(error.message),
    );
  });

  it('knows that a field may be written once and never changed', () => {
    assert.throws(
      () => checkColumns(CONTACT, spec('update'), ['Id', 'Born__c']),
      /Born__c of Contact cannot be written by update/,
    );
  });

  it('gives the lengths of texts, and of nothing else', () => {
    const lengths = fieldLengths(CONTACT);
    assert.equal(lengths.get('LastName'), 80);
    assert.equal(lengths.has('Score__c'), false);
  });
});
