import type { RetryEntry, RetryOutcome } from '../../database/ledger/job-ledger.ts';
import type { Attempt, Failure, RetriedRecord } from '../../failure.ts';
import type { Explanation } from '../classify.ts';
import { parseError } from '../parse-error.ts';
import { aloneCures } from '../rules/complete.ts';
import type { RetryItem, RetryJob } from './item.ts';
import type { Stop } from './stop.ts';

/** Where a record ended up. */
export type Result = { retried: RetriedRecord } | { failure: Failure };

export const IN_DOUBT = 'IN_DOUBT';

const frame = (code: string, message: string) => `${code}:${message}:--`;

export function retriedRecord(item: RetryItem, sfId: string): RetriedRecord {
  const { key, originalData } = item.original;
  return { key, sfId, originalData, attempts: item.attempts };
}

/**
 * The record's latest error, judged: as the failure was when it came, by whichever rules the flow has for it, where the
 * error says the same; else by `judge`.
 */
export function judgeLatest(
  item: Pick<RetryItem, 'original' | 'error'>,
  judge: (text: string) => Explanation,
): Explanation {
  const explanation = judge(item.error);
  const { errorCode, errorMessage, errorCategory, retryable, rule } = item.original;
  const saysMore = explanation.further.length > 0 && item.error !== item.original.error;
  const saysTheSame =
    explanation.errorCode === errorCode && explanation.errorMessage === errorMessage && !saysMore;
  return saysTheSame ? { ...explanation, errorCategory, retryable, rule } : explanation;
}

/** The failure with its latest error, judged anew. */
export function failureNow(item: RetryItem, explanation: Explanation): Failure {
  return {
    ...item.original,
    error: item.error,
    errorCode: explanation.errorCode,
    errorMessage: explanation.errorMessage,
    errorFields: [...explanation.errorFields],
    errorCategory: explanation.errorCategory,
    retryable: explanation.retryable,
    rule: explanation.rule,
    attempts: item.attempts,
  };
}

/** A failure whose cause is not an answer of Salesforce: category, retryable and rule are given. */
function failureOfOurs(
  item: Pick<RetryItem, 'original' | 'attempts'>,
  ours: { code: string; message: string } & Pick<Failure, 'errorCategory' | 'retryable' | 'rule'>,
): Failure {
  const { code, message, ...verdict } = ours;
  return {
    ...item.original,
    error: frame(code, message),
    errorCode: code,
    errorMessage: message,
    errorFields: [],
    ...verdict,
    attempts: item.attempts,
  };
}

export function inDoubt(item: RetryItem, job: RetryJob, why: string): Failure {
  const lost = item.attempts.findLast(({ errorCode }) => errorCode === 'NO_ANSWER');
  const calledAt = (lost ?? item.attempts.at(-1))?.at ?? '';
  const message = `The call at ${calledAt} that would have inserted this ${job.object} got no answer, and Salesforce may or may not have stored it. ${why}`;
  return failureOfOurs(item, {
    code: IN_DOUBT,
    message,
    errorCategory: 'OTHER',
    retryable: false,
    rule: 'lost answer',
  });
}

/** Salesforce was away for longer than is waited for. An insert was looked up and is not there. */
export function noAnswer(item: RetryItem): Failure {
  const { errorCode, errorMessage } = parseError(item.error);
  return failureOfOurs(item, {
    code: errorCode,
    message: errorMessage,
    errorCategory: 'TRANSIENT',
    retryable: true,
    rule: 'lost answer',
  });
}

/** A record of a run that broke, as it may be sent again: with its latest error, if it has one since it came. */
export function untouched(item: RetryItem, judge: (item: RetryItem) => Explanation): Failure {
  if (item.attempts.length === item.original.attempts.length) return item.original;
  return item.attempts.at(-1)?.errorCode === 'NO_ANSWER' ? noAnswer(item) : failureNow(item, judge(item));
}

export function leftBehind(item: RetryItem, stop: Stop): Failure {
  return failureOfOurs(item, {
    code: stop.errorCode,
    message: `Not sent: the retry stopped at "${stop.said}". Replay it once there is room again.`,
    errorCategory: 'LIMIT',
    retryable: false,
    rule: `stopped: ${stop.errorCode}`,
  });
}

export function neverOverRest(failure: Failure): Failure {
  return {
    ...failure,
    retryable: false,
    rule: 'not retried: hardDelete over REST would be a soft delete. Send it in a new Bulk job',
  };
}

/** What the ledger remembers of a record that is done with, as the result it had. */
export function rememberedResult(
  item: RetryItem,
  entry: RetryEntry,
  job: RetryJob,
  judge: (item: RetryItem) => Explanation,
): Result {
  const known = { ...item, attempts: entry.attempts };
  if (entry.state === 'succeeded') return { retried: retriedRecord(known, entry.sfId ?? '') };
  if (entry.state === 'in-doubt') {
    return { failure: inDoubt(known, job, 'It was dead-lettered as such before.') };
  }
  const last = entry.attempts.at(-1);
  if (last === undefined || last.via === 'bulk') {
    return { failure: { ...item.original, retryable: false, rule: 'stopped: given up before' } };
  }
  known.error = frame(last.errorCode, last.errorMessage);
  return { failure: failureNow(known, judge(known)) };
}

/** Attempts that count against maxAttempts: answered, and not failed for the sake of the company. */
function countedTries(attempts: readonly Attempt[]): number {
  return attempts.filter(({ via, errorCode, errorMessage }) => {
    if (via === 'bulk' || errorCode === 'NO_ANSWER') return false;
    return via === 'individual' || !aloneCures(parseError(frame(errorCode, errorMessage)));
  }).length;
}

/** Goes on from what an earlier delivery of the record came to. */
export function takeHistory(item: RetryItem, entry: RetryEntry): void {
  item.attempts = entry.attempts;
  item.tries = countedTries(entry.attempts);
  const last = entry.attempts.at(-1);
  if (last && last.via !== 'bulk') item.error = frame(last.errorCode, last.errorMessage);
}

export function ledgerOutcome(
  item: RetryItem,
  state: RetryOutcome['state'],
  sfId: string | null = null,
): RetryOutcome {
  return { key: item.original.key, state, sfId, attempts: item.attempts };
}
