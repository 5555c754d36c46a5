import type { RetryOutcome } from './job-ledger.ts';

/** Of several outcomes of one key in a call the last one counts. */
export function lastOfEach(outcomes: readonly RetryOutcome[]): RetryOutcome[] {
  return [...new Map(outcomes.map((outcome) => [outcome.key, outcome])).values()];
}
