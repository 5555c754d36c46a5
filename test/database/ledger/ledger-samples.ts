import { randomUUID } from 'node:crypto';
import type { JobLedger, LoadHold, LoadKey } from '../../../src/database/ledger/job-ledger.ts';
import type { Job } from '../../../src/job.ts';
import type { Receipt } from '../../../src/receipt.ts';

/** A load of its own for each test, so that tests may share a database. */
export function aLoad(): LoadKey {
  return { orgId: '00D000000000001EAA', loadName: `load "${randomUUID()}"` };
}

export function aJob(change: Partial<Job> = {}): Job {
  return {
    id: `750${randomUUID().slice(0, 15)}`,
    runId: null,
    index: 0,
    object: 'Contact',
    operation: 'insert',
    externalIdField: 'External_Id__c',
    assignmentRuleId: null,
    columns: ['LastName', 'External_Id__c'],
    columnDelimiter: 'COMMA',
    lineEnding: 'LF',
    records: 10,
    bytes: 200,
    state: 'Open',
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

export function aReceipt(change: Partial<Receipt> = {}): Receipt {
  return {
    jobId: null,
    runId: null,
    loadName: 'nightly',
    object: 'Contact',
    operation: 'insert',
    state: 'JobComplete',
    received: 10,
    rejected: 0,
    uploaded: 10,
    succeeded: 9,
    failed: 1,
    unprocessed: 0,
    unaccounted: 0,
    retried: 0,
    deadLettered: 1,
    writtenBack: 9,
    byErrorCode: { DUPLICATE_VALUE: 1 },
    startedAt: '2026-01-01T02:00:00.000Z',
    finishedAt: '2026-01-01T02:10:00.000Z',
    apiCalls: 5,
    complete: true,
    ...change,
  };
}

export async function hold(ledger: JobLedger, load: LoadKey): Promise<LoadHold> {
  const taken = await ledger.acquire(load);
  if (taken === undefined) throw new Error('The load is held by somebody else.');
  return taken;
}

/** A run that is loading, with its hold. */
export async function aRun(
  ledger: JobLedger,
  load = aLoad(),
): Promise<{ load: LoadKey; held: LoadHold; runId: string }> {
  const held = await hold(ledger, load);
  const runId = randomUUID();
  await ledger.beginRun(held, runId);
  return { load, held, runId };
}

/** A job of the run, in state `open`. */
export async function addedJob(
  ledger: JobLedger,
  { held, runId }: { held: LoadHold; runId: string },
  change: Partial<Job> = {},
  claimIds: string[] = [],
): Promise<Job> {
  const job = aJob({ runId, ...change });
  await ledger.addJob(held, { job, runId, carried: { topic: 'nightly' }, claimIds });
  return job;
}

export async function closedJob(
  ledger: JobLedger,
  run: { held: LoadHold; runId: string },
  change: Partial<Job> = {},
  claimIds: string[] = [],
): Promise<Job> {
  const job = await addedJob(ledger, run, change, claimIds);
  await ledger.markClosing(run.held, job.id);
  await ledger.markClosed(job.id, { ...job, state: 'UploadComplete' });
  return job;
}
