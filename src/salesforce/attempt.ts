import { reasonOf } from '../errors.ts';
import type { Token } from './access-token.ts';
import type { ApiAnswer, ApiRequest } from './call.ts';
import { type ApiError, describeErrors, isHtml, parseErrorBody, parseJson } from './error-body.ts';
import { ExchangeFailed } from './exchange-failed.ts';
import type { HttpAnswer } from './http-answer.ts';
import { DoubtfulOutcome } from './outcome.ts';
import { type Outcome, outcomeOf, outcomeOfFailure } from './retry-policy.ts';

/** What one attempt came to, with what is known about it. */
export interface Attempt<T> {
  outcome: Outcome;
  value?: T;
  token: Token;
  status?: number;
  headers: Record<string, string>;
  errors: ApiError[];
  answeredAt?: Date | undefined;
  cause?: unknown;
}

export type ReadAnswer<T> = (answer: HttpAnswer, answeredAt: Date | undefined) => Promise<T>;

/** Any answer of the API itself but 401 and 403; a proxy's page or an overloaded server has not looked at the token. */
export function showsAcceptance({ status, headers }: HttpAnswer): boolean {
  return status !== 401 && status !== 403 && status < 500 && !isHtml(headers['content-type'], '');
}

export async function readAttempt<T>(
  request: ApiRequest,
  answer: HttpAnswer,
  answeredAt: Date | undefined,
  read: ReadAnswer<T>,
): Promise<Pick<Attempt<T>, 'outcome' | 'value' | 'errors'>> {
  const { status, headers } = answer;
  const seen = { status, contentType: headers['content-type'] };
  const accepted = request.alsoAccepted ?? [];
  if (outcomeOf({ ...seen, text: '', errors: [] }, accepted) === 'accepted') {
    return { outcome: 'accepted', value: await read(answer, answeredAt), errors: [] };
  }
  const text = await answer.text();
  const errors = parseErrorBody(status, text);
  return { outcome: outcomeOf({ ...seen, text, errors }, accepted), errors };
}

class PageInstead extends Error {}

export async function readJson(answer: HttpAnswer, answeredAt: Date | undefined): Promise<ApiAnswer> {
  const text = await answer.text();
  const body = text.trim() === '' ? undefined : parseJson(text);
  if (body === undefined && text.trim() !== '') {
    if (isHtml(undefined, text)) throw new PageInstead('a page instead of JSON');
    throw new ExchangeFailed(true, 'the answer is not JSON to its end', undefined);
  }
  return { status: answer.status, headers: answer.headers, answeredAt, body };
}

export function failedAttempt(
  request: ApiRequest,
  token: Token,
  signal: AbortSignal | undefined,
  error: unknown,
): Attempt<never> {
  const attempt = { token, headers: {}, errors: [], cause: error };
  if (error instanceof PageInstead) return { ...attempt, outcome: 'page' };
  if (!(error instanceof ExchangeFailed)) throw error;
  if (signal?.aborted) {
    if (error.sent) request.onDoubt?.();
    const doubtful = error.sent && request.kind !== 'safe';
    throw doubtful
      ? new DoubtfulOutcome(request.what, 'broken off by us', { cause: signal.reason })
      : signal.reason;
  }
  return { ...attempt, outcome: outcomeOfFailure(error) };
}

/** What Salesforce said, fit for a message. */
export function saidIn(request: ApiRequest, errors: readonly ApiError[]): string {
  return request.isAboutRecords
    ? errors.map(({ errorCode }) => errorCode).join(', ')
    : describeErrors(errors);
}

export function whyOf(request: ApiRequest, attempt: Attempt<unknown>): string {
  if (attempt.outcome === 'page') return `HTTP ${attempt.status ?? 200}, a page instead of data`;
  if (attempt.status === undefined || attempt.cause !== undefined) return reasonOf(attempt.cause);
  return `HTTP ${attempt.status}, ${saidIn(request, attempt.errors)}`;
}
