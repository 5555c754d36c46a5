import type { RetryOutcome, RetryState } from './job-ledger.ts';

/** Of several outcomes of one key in a call the last one counts. */
export function lastOfEach(outcomes: readonly RetryOutcome[]): RetryOutcome[] {
  return [...new Map(outcomes.map((outcome) => [outcome.key, outcome])).values()];
}

/** Whether an entry in this state takes the outcome (`JobLedger.endRetries`); END_RETRIES says the same in SQL. */
export function takesOutcome(known: RetryState, outcome: RetryOutcome['state'], isCurrent: boolean): boolean {
  if (known === 'calling') return outcome !== 'failed' || isCurrent;
  return known === 'failed' && outcome === 'succeeded';
}
