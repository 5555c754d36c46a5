import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Rejected } from '../../src/load/job-files.ts';
import { RejectedRecords } from '../../src/load/rejected.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const rejected = (record: Record<string, unknown>): Rejected => ({
  record,
  code: 'RECORD_INVALID',
  message: 'Name cannot be an object.',
});

describe('rejected records', () => {
  it('become failures that no retry takes', () => {
    const failure = new RejectedRecords('run').asFailure(rejected({ Name: 'x' }));
    const { key, ...rest } = failure;
    assert.equal(key, 'run-1');
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

  it('are not kept: a hundred thousand take no more memory than one', () => {
    const run = new RejectedRecords('run');
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 100_000; index += 1) run.asFailure(rejected({ Name: `Row ${index}` }));
    collectGarbage();
    const perRecord = (process.memoryUsage().heapUsed - before) / 100_000;
    assert.ok(perRecord < 8, `${Math.round(perRecord)} bytes of heap for each`);
    assert.match(run.asFailure(rejected({ Name: 'the last' })).key, /^run-/);
  });
});
