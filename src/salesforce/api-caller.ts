import type { Clock } from '../clock.ts';
import { LoadError, reasonOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { AccessToken, Token } from './access-token.ts';
import type { ApiBudget } from './api-budget.ts';
import type { ApiAnswer, ApiRequest, CallOptions } from './call.ts';
import { type ApiError, describeErrors, isHtml, parseErrorBody, parseJson } from './error-body.ts';
import type { OrgClock } from './org-clock.ts';
import { BodyBrokenOff, DoubtfulOutcome, SalesforceRefusal } from './outcome.ts';
import { Patience } from './patience.ts';
import {
  INCURABLE_401,
  mayHaveBeenProcessed,
  type Outcome,
  outcomeOf,
  outcomeOfFailure,
  REACTIONS,
  type Reaction,
  retryAfterMs,
  type WaitKind,
} from './retry-policy.ts';
import { ExchangeFailed, type HttpAnswer, type HttpTransport } from './transport.ts';

/** However often one call's token is refused, it asks for a new one at most this many times. */
const MOST_RENEWALS = 5;

/** One line in the log per minute says that Salesforce is away, however many calls wait. */
const ANNOUNCE_EVERY_MS = 60_000;

export interface ApiCallerParts {
  transport: HttpTransport;
  token: AccessToken;
  budget: ApiBudget;
  orgClock: OrgClock;
  clock: Clock;
  log: Logger;
  random: () => number;
  apiVersion: string;
  outageMs: number;
  limitWaitMs: number;
}

/** What one attempt came to, with what is known about it. */
interface Attempt<T> {
  outcome: Outcome;
  value?: T;
  token: Token;
  status?: number;
  headers: Record<string, string>;
  errors: ApiError[];
  answeredAt?: Date | undefined;
  cause?: unknown;
}

type ReadAnswer<T> = (answer: HttpAnswer, answeredAt: Date | undefined) => Promise<T>;

/**
 * Makes the API calls of a session: token, repeats by the policy of retry-policy.ts, API budget, counting.
 *
 * Rejects with DoubtfulOutcome when a call that is not `safe` may have been processed; with anything else
 * (SalesforceRefusal, LoadError, the signal's reason) it surely was not, or it does not matter.
 */
export class ApiCaller {
  readonly #parts: ApiCallerParts;
  #calls = 0;
  #announcedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: ApiCallerParts) {
    this.#parts = parts;
  }

  /** HTTP requests to the API so far. */
  get calls(): number {
    return this.#calls;
  }

  call(request: ApiRequest, options: CallOptions): Promise<ApiAnswer> {
    return this.#run(request, options, readJson);
  }

  /** A body that breaks off is BodyBrokenOff and not asked for again here: the sink has seen a part of it. */
  download(
    request: ApiRequest,
    sink: { path: string; onChunk: (chunk: Buffer) => void },
    options: CallOptions,
  ): Promise<{ status: number; bytes: number; answeredAt: Date | undefined }> {
    return this.#run(request, options, async (answer, answeredAt) => {
      let bytes = 0;
      const count = (chunk: Buffer) => {
        bytes += chunk.length;
        sink.onChunk(chunk);
      };
      try {
        await answer.toFile(sink.path, count);
      } catch (error) {
        if (error instanceof ExchangeFailed) throw new BodyBrokenOff(request.what, bytes, error);
        throw error;
      }
      return { status: answer.status, bytes, answeredAt };
    });
  }

  async #run<T>(request: ApiRequest, options: CallOptions, read: ReadAnswer<T>): Promise<T> {
    const patience = this.#patience(options);
    for (let renewals = 0; ; ) {
      const token = await this.#parts.token.current(options.signal);
      const attempt = await this.#attempt(request, token, options, read);
      if (attempt.outcome === 'accepted') return attempt.value as T;
      if (request.kind === 'safe' && mayHaveBeenProcessed(attempt.outcome)) request.onDoubt?.();
      const reaction = REACTIONS[attempt.outcome][request.kind];
      if (reaction === 'reauthenticate' || reaction === 'reauthenticate-then-doubt') {
        await this.#renew(request, attempt, renewals, options.signal);
        renewals += 1;
        if (reaction === 'reauthenticate-then-doubt') throw doubt(request, attempt);
        continue;
      }
      await this.#react(reaction, request, attempt, patience, options);
    }
  }

  #patience(options: CallOptions): Patience {
    const { clock, random, limitWaitMs } = this.#parts;
    const outage = options.outageMs ?? this.#parts.outageMs;
    return new Patience({ clock, random, limitMs: { outage, concurrent: outage, daily: limitWaitMs } });
  }

  async #attempt<T>(
    request: ApiRequest,
    token: Token,
    options: CallOptions,
    read: ReadAnswer<T>,
  ): Promise<Attempt<T>> {
    options.signal?.throwIfAborted();
    let answer: HttpAnswer;
    try {
      answer = await this.#send(request, token, options);
    } catch (error) {
      return failedAttempt(request, token, options.signal, error);
    }
    const known = {
      token,
      status: answer.status,
      headers: answer.headers,
      answeredAt: this.#parts.orgClock.read(answer.headers.date),
    };
    this.#parts.budget.read(answer.headers['sforce-limit-info']);
    if (showsAcceptance(answer)) token.accepted = true;
    try {
      return { ...known, ...(await readAttempt(request, answer, known.answeredAt, read)) };
    } catch (error) {
      return { ...known, ...failedAttempt(request, token, options.signal, error) };
    }
  }

  async #send(request: ApiRequest, token: Token, options: CallOptions): Promise<HttpAnswer> {
    const { transport, apiVersion } = this.#parts;
    const { answerMs, longAnswerMs } = transport.timeouts;
    const counted = () => {
      this.#calls += 1;
      if (options.meter) options.meter.calls += 1;
    };
    try {
      const answer = await transport.send({
        method: request.method,
        origin: new URL(token.instanceUrl).origin,
        path: request.path.startsWith('/services/')
          ? request.path
          : `/services/data/v${apiVersion}${request.path}`,
        headers: headersOf(request, token),
        body: request.file ?? (request.json === undefined ? undefined : JSON.stringify(request.json)),
        answerMs: request.answerMs ?? (request.kind === 'safe' ? answerMs : longAnswerMs),
        signal: options.signal,
      });
      counted();
      return answer;
    } catch (error) {
      if (error instanceof ExchangeFailed && error.sent) counted();
      throw error;
    }
  }

  async #renew(
    request: ApiRequest,
    attempt: Attempt<unknown>,
    renewals: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const said = describeErrors(attempt.errors);
    if (INCURABLE_401.some((text) => said.includes(text))) {
      throw authFailed(
        request,
        said,
        'A new session does not change that: check the policies of the app and the rights of the user.',
      );
    }
    // A fresh token that not even its first call may use is no better than the one before: stop here, do not go round.
    if (renewals >= MOST_RENEWALS || (renewals > 0 && !attempt.token.accepted)) {
      throw authFailed(
        request,
        said,
        'A session gained a moment ago was refused as well: check that the user may use the API.',
      );
    }
    await this.#parts.token.renew(attempt.token, signal);
  }

  async #react(
    reaction: Reaction,
    request: ApiRequest,
    attempt: Attempt<unknown>,
    patience: Patience,
    options: CallOptions,
  ): Promise<void> {
    const kind = WAITS[reaction];
    if (kind === undefined) throw endOf(reaction, request, attempt);
    this.#announce(kind, request, attempt);
    const retryAfter = retryAfterMs(attempt.headers['retry-after'], this.#parts.orgClock.now());
    if (await patience.again(kind, { retryAfterMs: retryAfter, signal: options.signal })) return;
    throw outOfPatience(kind, request, attempt);
  }

  #announce(kind: WaitKind, request: ApiRequest, attempt: Attempt<unknown>): void {
    const now = this.#parts.clock.now();
    if (now - this.#announcedAt < ANNOUNCE_EVERY_MS) return;
    this.#announcedAt = now;
    const what = kind === 'outage' ? 'Salesforce is away' : 'Salesforce takes no more calls for now';
    this.#parts.log.warn(`${what} (${request.what}: ${whyOf(attempt)}); trying again`);
  }
}

/** Any answer of the API itself but 401; a proxy's page or an overloaded server has not looked at the token. */
function showsAcceptance({ status, headers }: HttpAnswer): boolean {
  return status !== 401 && status < 500 && !isHtml(headers['content-type'], '');
}

const WAITS: Partial<Record<Reaction, WaitKind>> = {
  'repeat-outage': 'outage',
  'repeat-concurrent': 'concurrent',
  'repeat-daily': 'daily',
};

function headersOf(request: ApiRequest, token: Token): Record<string, string> {
  const contentType =
    request.contentType ?? (request.json === undefined ? undefined : 'application/json; charset=UTF-8');
  return {
    authorization: `Bearer ${token.value}`,
    accept: request.accept ?? 'application/json',
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    ...request.headers,
  };
}

async function readAttempt<T>(
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

async function readJson(answer: HttpAnswer, answeredAt: Date | undefined): Promise<ApiAnswer> {
  const text = await answer.text();
  const body = text.trim() === '' ? undefined : parseJson(text);
  if (body === undefined && text.trim() !== '') {
    if (isHtml(undefined, text)) throw new PageInstead('a page instead of JSON');
    throw new ExchangeFailed(true, 'the answer is not JSON to its end', undefined);
  }
  return { status: answer.status, headers: answer.headers, answeredAt, body };
}

function failedAttempt(
  request: ApiRequest,
  token: Token,
  signal: AbortSignal | undefined,
  error: unknown,
): Attempt<never> {
  const attempt = { token, headers: {}, errors: [], cause: error };
  if (error instanceof PageInstead) return { ...attempt, outcome: 'page' };
  if (!(error instanceof ExchangeFailed)) throw error;
  if (signal?.aborted) {
    const doubtful = error.sent && request.kind !== 'safe';
    throw doubtful
      ? new DoubtfulOutcome(request.what, 'broken off by us', { cause: signal.reason })
      : signal.reason;
  }
  return { ...attempt, outcome: outcomeOfFailure(error) };
}

function whyOf(attempt: Attempt<unknown>): string {
  if (attempt.outcome === 'page') return `HTTP ${attempt.status ?? 200}, a page instead of data`;
  if (attempt.status === undefined || attempt.cause !== undefined) return reasonOf(attempt.cause);
  return `HTTP ${attempt.status}, ${describeErrors(attempt.errors)}`;
}

function doubt(request: ApiRequest, attempt: Attempt<unknown>): DoubtfulOutcome {
  const { status, errors, answeredAt, cause } = attempt;
  return new DoubtfulOutcome(request.what, whyOf(attempt), {
    ...(status === undefined ? {} : { status }),
    errors,
    answeredAt,
    cause,
  });
}

function endOf(reaction: Reaction, request: ApiRequest, attempt: Attempt<unknown>): Error {
  if (reaction === 'doubt') return doubt(request, attempt);
  if (reaction === 'refuse') {
    const { status = 0, errors, answeredAt } = attempt;
    return new SalesforceRefusal(request.what, { status, errors, answeredAt });
  }
  const host = new URL(attempt.token.instanceUrl).host;
  return new LoadError(
    'SF_REQUEST_FAILED',
    `${request.what}: no secure connection to ${host} (${whyOf(attempt)}). Check the certificates of the connection's TLS settings`,
    { cause: attempt.cause },
  );
}

function outOfPatience(kind: WaitKind, request: ApiRequest, attempt: Attempt<unknown>): LoadError {
  if (kind === 'outage') {
    return new LoadError(
      'SF_REQUEST_FAILED',
      `${request.what}: Salesforce could not be reached for the whole time that an outage is waited for; last: ${whyOf(attempt)}`,
      { cause: attempt.cause },
    );
  }
  const which =
    kind === 'daily'
      ? "the API calls of the org's last 24 hours are used up"
      : 'too many long API calls run in the org';
  return new LoadError('SF_API_LIMIT', `${request.what}: ${which} (${describeErrors(attempt.errors)})`);
}

function authFailed(request: ApiRequest, said: string, advice: string): LoadError {
  return new LoadError(
    'SF_AUTH_FAILED',
    `${request.what}: Salesforce does not accept the session: ${said}. ${advice}`,
  );
}
