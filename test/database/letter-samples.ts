import { randomUUID } from 'node:crypto';
import type { NewDeadLetter } from '../../src/database/dead-letters.ts';

export function aLetter(change: Partial<NewDeadLetter> = {}): NewDeadLetter {
  return {
    key: randomUUID(),
    recordData: { LastName: 'Lovelace', External_Id__c: 'C-1' },
    errorMessage: 'DUPLICATE_VALUE:duplicate value found:External_Id__c --',
    errorCode: 'DUPLICATE_VALUE',
    errorCategory: 'DUPLICATE_VALUE',
    retryable: false,
    attempts: [
      {
        at: '2026-01-01T02:00:00.000Z',
        via: 'bulk',
        errorCode: 'DUPLICATE_VALUE',
        errorMessage: 'duplicate',
      },
    ],
    jobId: '750000000000001AAA',
    runId: 'run-1',
    loadName: 'nightly',
    object: 'Contact',
    operation: 'insert',
    externalIdField: 'External_Id__c',
    ...change,
  };
}
