import { LoadError } from '../errors.ts';
import { type Attempt, saidIn, whyOf } from './attempt.ts';
import type { ApiRequest } from './call.ts';
import { DoubtfulOutcome, SalesforceRefusal } from './outcome.ts';
import { refusalAdvice } from './refusal-advice.ts';
import type { Reaction, WaitKind } from './retry-policy.ts';

export function doubt(request: ApiRequest, attempt: Attempt<unknown>): DoubtfulOutcome {
  const { status, errors, answeredAt, cause } = attempt;
  return new DoubtfulOutcome(request.what, whyOf(request, attempt), {
    ...(status === undefined ? {} : { status }),
    errors,
    answeredAt,
    cause,
  });
}

export function endOf(reaction: Reaction, request: ApiRequest, attempt: Attempt<unknown>): Error {
  if (reaction === 'doubt') return doubt(request, attempt);
  if (reaction === 'refuse') {
    const { status = 0, errors, answeredAt } = attempt;
    return new SalesforceRefusal(request.what, {
      status,
      errors,
      answeredAt,
      said: saidIn(request, errors),
      advice: refusalAdvice(errors),
    });
  }
  const host = new URL(attempt.token.instanceUrl).host;
  return new LoadError(
    'SF_REQUEST_FAILED',
    `${request.what}: no secure connection to ${host} (${whyOf(request, attempt)}). Check the certificates of the connection's TLS settings`,
    { cause: attempt.cause },
  );
}

export function outOfPatience(kind: WaitKind, request: ApiRequest, attempt: Attempt<unknown>): LoadError {
  if (kind === 'outage') {
    return new LoadError(
      'SF_REQUEST_FAILED',
      `${request.what}: Salesforce could not be reached for the whole time that an outage is waited for; last: ${whyOf(request, attempt)}`,
      { cause: attempt.cause },
    );
  }
  const which =
    kind === 'daily'
      ? "the API calls of the org's last 24 hours are used up"
      : 'too many long API calls run in the org';
  return new LoadError('SF_API_LIMIT', `${request.what}: ${which} (${saidIn(request, attempt.errors)})`);
}

export function authFailed(request: ApiRequest, said: string, advice: string): LoadError {
  return new LoadError(
    'SF_AUTH_FAILED',
    `${request.what}: Salesforce does not accept the session: ${said}. ${advice}`,
  );
}
