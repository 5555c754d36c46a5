import assert from 'node:assert/strict';
import { type RunFacts, sumReceipts } from '../../src/load/receipts.ts';
import { receiptOf } from './support/jobs.ts';

const FACTS: RunFacts = {
  runId: 'run',
  loadName: 'rows',
  spec: { object: 'Contact', operation: 'upsert' },
  received: 25,
  rejected: 5,
  uploaded: 20,
  complete: true,
  startedAt: 'then',
  finishedAt: 'now',
  otherApiCalls: 4,
};

describe('receipt of a run', () => {
  it('is the sum of its jobs, with what belongs to none of them', () => {
    const jobs = [
      receiptOf({ succeeded: 7, failed: 3, retried: 1, deadLettered: 2, byErrorCode: { LOCK: 1, OLD: 2 } }),
      receiptOf({ succeeded: 8, failed: 1, unprocessed: 1, writtenBack: 8, byErrorCode: { LOCK: 1 } }),
    ];
    assert.deepEqual(sumReceipts(jobs, FACTS), {
      jobId: null,
      runId: 'run',
      loadName: 'rows',
      object: 'Contact',
      operation: 'upsert',
      state: 'JobComplete',
      received: 25,
      rejected: 5,
      uploaded: 20,
      succeeded: 15,
      failed: 4,
      unprocessed: 1,
      unaccounted: 0,
      retried: 1,
      deadLettered: 2,
      writtenBack: 8,
      byErrorCode: { LOCK: 2, OLD: 2 },
      startedAt: 'then',
      finishedAt: 'now',
      apiCalls: 18,
      complete: true,
    });
  });

  it('is complete only when all rows came and every job is complete', () => {
    assert.equal(sumReceipts([receiptOf()], { ...FACTS, complete: false }).complete, false);
    assert.equal(sumReceipts([receiptOf(), receiptOf({ complete: false })], FACTS).complete, false);
    assert.equal(sumReceipts([], FACTS).complete, true);
  });

  it('has the worst state of its jobs, that of an abandoned one included', () => {
    const stateOf = (...states: Parameters<typeof receiptOf>[0][]) =>
      sumReceipts(states.map(receiptOf), FACTS).state;
    assert.equal(stateOf(), null);
    assert.equal(stateOf({}, { state: 'Aborted' }), 'Aborted');
    assert.equal(stateOf({ state: 'Aborted' }, { state: 'Failed' }, {}), 'Failed');
    assert.equal(stateOf({}, { state: 'UploadComplete', complete: false }), 'UploadComplete');
  });

  it('names object and operation of its jobs when it was taken over', () => {
    const { object, operation } = sumReceipts([receiptOf()], { ...FACTS, spec: undefined });
    assert.deepEqual([object, operation], ['Load_Test__c', 'insert']);
  });

  it('adds codes up that have the name of something every object has', () => {
    const jobs = ['constructor', '__proto__', 'constructor'].map((code) =>
      receiptOf({ byErrorCode: Object.fromEntries([[code, 1]]) }),
    );
    const { byErrorCode } = sumReceipts(jobs, FACTS);
    assert.deepEqual(Object.entries(byErrorCode), [
      ['constructor', 2],
      ['__proto__', 1],
    ]);
  });
});
