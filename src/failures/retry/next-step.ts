import type { Attempt } from '../../failure.ts';
import type { Explanation } from '../classify.ts';
import { formatError, type ParsedError } from '../parse-error.ts';
import { aloneCures } from '../rules/complete.ts';
import { backOffMs } from './back-off.ts';
import type { Answer } from './caller.ts';
import type { RetryItem } from './item.ts';

export interface RetrySettings {
  mode: 'auto' | 'individual' | 'collections';
  /** Answered calls for one record, at most; those that failed for the company's sake do not count in `auto`. */
  maxAttempts: number;
  backoffMs: number;
  /** Calls in flight at the same time. */
  concurrency: number;
  /** How long lost answers are put up with, from a record's first one, in milliseconds. */
  outageMs: number;
}

/** The call that an answer came to. */
export interface CallFacts {
  via: Attempt['via'];
  /** Records of the call. */
  company: number;
  /** The org's clock before the call, in whole seconds. */
  calledAt: number;
  /** The clock now. */
  now: number;
}

export interface Judging {
  settings: RetrySettings;
  judge: (item: RetryItem) => Explanation;
  random: () => number;
}

/**
 * What becomes of a record after an answer. `again`: at its `dueAt`. `failed`: for good. `maybe-own`: a duplicate that may
 * be what an earlier call without an answer left there. `lost`: no answer, and the outage lasts longer than is waited for.
 */
export type Step =
  | { kind: 'succeeded'; id: string }
  | { kind: 'again' | 'unanswered' | 'lost' | 'in-doubt' | 'maybe-own' }
  | { kind: 'failed'; explanation: Explanation };

const DUPLICATE_CODES = new Set(['DUPLICATE_VALUE', 'DUPLICATES_DETECTED']);

function note(item: RetryItem, facts: CallFacts, errorCode: string, errorMessage: string): void {
  item.attempts = [
    ...item.attempts,
    { at: new Date(facts.now).toISOString(), via: facts.via, errorCode, errorMessage },
  ];
}

function answered(item: RetryItem): void {
  item.inDoubt = false;
  item.unanswered = 0;
  item.unansweredSince = undefined;
}

/** True when the record may be tried again; notes in what company and when. */
function mayTryAgain(item: RetryItem, error: ParsedError, facts: CallFacts, judging: Judging): boolean {
  const { settings, random } = judging;
  const spoiltByCompany = facts.company > 1 && aloneCures(error);
  if (spoiltByCompany && settings.mode === 'auto') {
    item.alone = true;
    item.dueAt = facts.now;
    return true;
  }
  if (spoiltByCompany) {
    item.fragile = true;
    item.company = Math.ceil(facts.company / 2);
  }
  item.tries += 1;
  item.dueAt = facts.now + backOffMs(settings.backoffMs, item.tries, random);
  return item.tries < settings.maxAttempts;
}

function afterRefusal(item: RetryItem, error: ParsedError, facts: CallFacts, judging: Judging): Step {
  note(item, facts, error.errorCode, error.errorMessage);
  answered(item);
  item.error = formatError(error);
  const explanation = judging.judge(item);
  const wasDoubtful = item.doubtfulSince !== undefined;
  if (wasDoubtful && DUPLICATE_CODES.has(error.errorCode)) {
    // Until the look-up says whose record it is, which may itself fail.
    item.inDoubt = true;
    return { kind: 'maybe-own' };
  }
  const again = explanation.retryable && mayTryAgain(item, error, facts, judging);
  return again ? { kind: 'again' } : { kind: 'failed', explanation };
}

function afterNoAnswer(item: RetryItem, error: ParsedError, facts: CallFacts, judging: Judging): Step {
  const { settings, random } = judging;
  note(item, facts, error.errorCode, error.errorMessage);
  item.error = formatError(error);
  item.unanswered += 1;
  item.unansweredSince ??= facts.now;
  item.dueAt = facts.now + backOffMs(settings.backoffMs, item.unanswered, random);
  if (item.verb === 'insert') {
    item.inDoubt = true;
    item.doubtfulSince ??= facts.calledAt;
    return { kind: item.externalId === undefined ? 'in-doubt' : 'unanswered' };
  }
  // Updating, upserting or deleting twice comes to the same, so these are simply sent again.
  return { kind: isPatient(item, facts.now, settings) ? 'unanswered' : 'lost' };
}

export function isPatient(item: RetryItem, now: number, settings: RetrySettings): boolean {
  return now - (item.unansweredSince ?? now) < settings.outageMs;
}

/** Takes an answer into the item, and says what follows. */
export function nextStep(item: RetryItem, answer: Answer, facts: CallFacts, judging: Judging): Step {
  switch (answer.kind) {
    case 'saved':
      note(item, facts, '', '');
      answered(item);
      return { kind: 'succeeded', id: answer.id };
    case 'refused':
      return afterRefusal(item, answer.error, facts, judging);
    case 'unanswered':
      return afterNoAnswer(item, answer.error, facts, judging);
  }
}
