import type { Attempt } from '../../failure.ts';
import type { Job } from '../../job.ts';
import type { Receipt } from '../../receipt.ts';
import type {
  ClaimLetters,
  ClaimPart,
  LedgerJob,
  LedgerJobState,
  LedgerRun,
  RetryEntry,
  RetryState,
  RunState,
} from './job-ledger.ts';

/** Rows of the ledger's tables as the driver gives them: bigint is text, json is parsed. */
export interface RunRow {
  run_id: string;
  org_id: string;
  load_name: string;
  state: RunState;
  started_at: Date;
  ended_at: Date | null;
  received: string;
  rejected: string;
  complete: boolean;
  api_calls: string;
  receipt: Receipt | null;
}

export interface JobRow {
  job: Job;
  run_id: string;
  org_id: string;
  load_name: string;
  state: LedgerJobState;
  carried: Record<string, unknown>;
  claim_ids: string[];
  claim_parts: ClaimPart[];
  given_back: ClaimLetters[] | null;
  parked_reason: string | null;
  receipt: Receipt | null;
  abandoned_by: string | null;
  reason: string | null;
}

export interface RetryRow {
  key: string;
  job_id: string | null;
  state: RetryState;
  sf_id: string | null;
  attempts: Attempt[];
  called_at: Date;
}

export function asRun(row: RunRow): LedgerRun {
  return {
    runId: row.run_id,
    load: { orgId: row.org_id, loadName: row.load_name },
    state: row.state,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    received: Number(row.received),
    rejected: Number(row.rejected),
    complete: row.complete,
    apiCalls: Number(row.api_calls),
    receipt: row.receipt,
  };
}

export function asJob(row: JobRow): LedgerJob {
  return {
    job: row.job,
    runId: row.run_id,
    load: { orgId: row.org_id, loadName: row.load_name },
    state: row.state,
    carried: row.carried,
    claimIds: row.claim_ids,
    claimParts: row.claim_parts,
    givenBack: row.given_back,
    parkedReason: row.parked_reason,
    receipt: row.receipt,
    abandonedBy: row.abandoned_by,
    reason: row.reason,
  };
}

export function asRetry(row: RetryRow): RetryEntry {
  return {
    key: row.key,
    jobId: row.job_id,
    state: row.state,
    sfId: row.sf_id,
    attempts: row.attempts,
    calledAt: row.called_at,
  };
}
