import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import {
  checkColumnName,
  checkHeader,
  columnsOf,
  flatten,
  isParentReference,
} from '../../src/csv/columns.ts';
import { isLoadError } from '../../src/errors.ts';

describe('columns of records', () => {
  it('makes a parent reference one column per field, and leaves polymorphic keys as they are', () => {
    const record = {
      Name: 'A',
      Account: { External_Id__c: 'A1', Region__c: 'N' },
      'Lead:Who.Email': 'a@b.c',
    };
    assert.deepEqual(flatten(record), {
      Name: 'A',
      'Account.External_Id__c': 'A1',
      'Account.Region__c': 'N',
      'Lead:Who.Email': 'a@b.c',
    });
  });

  it('takes dates, bytes, arrays and instances of classes for values, and objects of another realm for parents', () => {
    class Interval {}
    const foreign = runInNewContext('({ parent: {}, date: new Date(0), list: [] })') as Record<
      string,
      unknown
    >;
    for (const value of [
      new Date(0),
      Buffer.from('x'),
      [],
      new Interval(),
      new Map(),
      null,
      foreign.date,
      foreign.list,
    ]) {
      assert.equal(isParentReference(value), false);
    }
    for (const value of [{}, Object.create(null), foreign.parent])
      assert.equal(isParentReference(value), true);
  });

  it('refuses a parent of a parent, naming the column and not the value', () => {
    assert.throws(
      () => flatten({ Account: { Owner: { Email: 'secret@b.c' } } }),
      (error) =>
        isLoadError(error, 'RECORD_INVALID') &&
        /Account\.Owner/.test(error.message) &&
        !/secret/.test(error.message),
    );
  });

  it('keeps a key called __proto__', () => {
    const record = JSON.parse('{"__proto__":"x","Name":"y"}');
    assert.deepEqual(Object.entries(flatten(record)), [
      ['__proto__', 'x'],
      ['Name', 'y'],
    ]);
  });

  it('lists the columns of many records in the order in which they first appear', () => {
    assert.deepEqual(columnsOf([{ B: 1 }, { A: 1, B: 2 }, { C: { X: 1 } }, {}]), ['B', 'A', 'C.X']);
  });

  it('refuses names that Salesforce could not read', () => {
    for (const name of ['', '  ', 'a\nb', 'a\u0000', '\uFEFFName', 'a\u007f']) {
      assert.throws(
        () => checkColumnName(name),
        (error) => isLoadError(error, 'CONFIG_INVALID'),
        JSON.stringify(name),
      );
    }
    for (const name of ['Name', 'Account.Ext__c', 'Größe', 'a b']) checkColumnName(name);
  });

  it('knows the limits of a header', () => {
    const names = Array.from({ length: 5001 }, (_, index) => `c${index}`);
    checkHeader(names.slice(1), 'short');
    assert.throws(() => checkHeader(names, 'short'), /5,001 columns.*5,000.*"c5000"/);
    checkHeader(['a'], 'x'.repeat(32_000));
    assert.throws(() => checkHeader(['a'], 'x'.repeat(32_001)), /32,001 characters.*32,000/);
  });
});
