import assert from 'node:assert/strict';
import type { Rejected } from '../../src/load/job-files.ts';
import { RejectedRecords } from '../../src/load/rejected.ts';

const rejected = (record: Record<string, unknown>): Rejected => ({
  record,
  code: 'RECORD_INVALID',
  message: 'Name cannot be an object.',
});

describe('rejected records', () => {
  it('become failures that no retry takes', () => {
    const failure = new RejectedRecords('run').asFailure(rejected({ Name: 'x' }));
    const { key, ...rest } = failure;
    assert.match(key, /^run-[0-9a-f]{32}-1$/);
    assert.deepEqual(rest, {
      sfId: '',
      error: 'RECORD_INVALID:Name cannot be an object.:--',
      errorCode: 'RECORD_INVALID',
      errorMessage: 'Name cannot be an object.',
      errorFields: [],
      errorCategory: 'VALIDATION',
      retryable: false,
      rule: 'refused before the upload',
      originalData: { Name: 'x' },
      attempts: [],
    });
  });

  it('have a key of their own: equal rows of a run are two, and so is the same row of the next run', () => {
    const run = new RejectedRecords('run');
    const next = new RejectedRecords('next');
    const keys = [run, run, next].map((of) => of.asFailure(rejected({ Name: 'x' })).key);
    keys.push(run.asFailure(rejected({ Name: 'y' })).key);
    keys.push(run.asFailure({ ...rejected({ Name: 'x' }), code: 'RECORD_TOO_LARGE' }).key);
    assert.equal(new Set(keys).size, keys.length);
  });

  it('may be what JSON cannot hold', () => {
    const circle: Record<string, unknown> = { Name: 'x', Value__c: 12n };
    circle.Parent = circle;
    const run = new RejectedRecords('run');
    const [one, other] = [circle, { Name: 'x', Value__c: 12n }].map(
      (record) => run.asFailure(rejected(record)).key,
    );
    assert.notEqual(one, other);
  });
});
