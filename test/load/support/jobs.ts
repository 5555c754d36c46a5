import type { Job } from '../../../src/job.ts';
import type { Receipt } from '../../../src/receipt.ts';

/** A job as a run made it, closed a moment ago. */
export function jobOf(change: Partial<Job> = {}): Job {
  return {
    id: '750ak000000ABCDAA1',
    runId: 'run',
    index: 0,
    object: 'Load_Test__c',
    operation: 'insert',
    externalIdField: null,
    assignmentRuleId: null,
    columns: ['Name', 'Key__c'],
    columnDelimiter: 'COMMA',
    lineEnding: 'LF',
    records: 1000,
    bytes: 20_000,
    state: 'UploadComplete',
    errorMessage: null,
    createdDate: '2026-01-01T02:00:00.000+0000',
    numberRecordsProcessed: 0,
    numberRecordsFailed: 0,
    retries: 0,
    totalProcessingTime: 0,
    apiActiveProcessingTime: 0,
    apexProcessingTime: 0,
    ...change,
  };
}

export function receiptOf(change: Partial<Receipt> = {}): Receipt {
  return {
    jobId: '750ak000000ABCDAA1',
    runId: 'run',
    loadName: 'rows',
    object: 'Load_Test__c',
    operation: 'insert',
    state: 'JobComplete',
    received: 10,
    rejected: 0,
    uploaded: 10,
    succeeded: 10,
    failed: 0,
    unprocessed: 0,
    unaccounted: 0,
    retried: 0,
    deadLettered: 0,
    writtenBack: 0,
    byErrorCode: {},
    startedAt: '2026-01-01T02:00:00.000Z',
    finishedAt: '2026-01-01T02:01:00.000Z',
    apiCalls: 7,
    complete: true,
    ...change,
  };
}
