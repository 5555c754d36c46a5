import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { AccessToken, Token } from './access-token.ts';
import type { ApiBudget } from './api-budget.ts';
import {
  type Attempt,
  failedAttempt,
  type ReadAnswer,
  readAttempt,
  readJson,
  showsAcceptance,
  whyOf,
} from './attempt.ts';
import type { ApiAnswer, ApiRequest, CallOptions } from './call.ts';
import { authFailed, doubt, endOf, outOfPatience } from './call-ends.ts';
import { describeErrors } from './error-body.ts';
import { ExchangeFailed } from './exchange-failed.ts';
import type { HttpAnswer } from './http-answer.ts';
import type { OrgClock } from './org-clock.ts';
import { BodyBrokenOff } from './outcome.ts';
import { Patience } from './patience.ts';
import {
  INCURABLE_401,
  mayHaveBeenProcessed,
  REACTIONS,
  type Reaction,
  retryAfterMs,
  type WaitKind,
} from './retry-policy.ts';
import type { HttpTransport } from './transport.ts';

/** However often one call's token is refused, it asks for a new one at most this many times. */
const MOST_RENEWALS = 5;
/**
 * Fresh tokens that not even their first call could use: one may have been ended by an administrator together with the one
 * before, two are refused for what they are. Stop there, do not go round.
 */
const UNPROVEN_RENEWALS = 2;

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
        options.signal?.throwIfAborted();
        throw error instanceof ExchangeFailed ? new BodyBrokenOff(request.what, bytes, error) : error;
      }
      return { status: answer.status, bytes, answeredAt };
    });
  }

  async #run<T>(request: ApiRequest, options: CallOptions, read: ReadAnswer<T>): Promise<T> {
    const patience = this.patience(options);
    for (let renewals = 0; ; ) {
      const token = await this.#parts.token.current(options);
      const attempt = await this.#attempt(request, token, options, read);
      if (attempt.outcome === 'accepted') return attempt.value as T;
      if (request.kind === 'safe' && mayHaveBeenProcessed(attempt.outcome)) request.onDoubt?.();
      const reaction = REACTIONS[attempt.outcome][request.kind];
      if (reaction === 'reauthenticate' || reaction === 'reauthenticate-then-doubt') {
        await this.#renew(request, attempt, renewals, options);
        renewals += 1;
        if (reaction === 'reauthenticate-then-doubt') throw doubt(request, attempt);
        continue;
      }
      await this.#react(reaction, request, attempt, patience, options);
    }
  }

  patience(options: CallOptions): Patience {
    const { clock, random, limitWaitMs } = this.#parts;
    const outage = options.outageMs ?? this.#parts.outageMs;
    const daily = options.limitWaitMs ?? limitWaitMs;
    return new Patience({ clock, random, limitMs: { outage, concurrent: outage, daily } });
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
        answerMs: request.kind === 'safe' || request.isQuick ? answerMs : longAnswerMs,
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
    options: CallOptions,
  ): Promise<void> {
    const said = describeErrors(attempt.errors);
    if (INCURABLE_401.some((text) => said.includes(text))) {
      throw authFailed(
        request,
        said,
        'A new session does not change that: check the policies of the app and the rights of the user.',
      );
    }
    if (renewals >= MOST_RENEWALS || (renewals >= UNPROVEN_RENEWALS && !attempt.token.accepted)) {
      throw authFailed(
        request,
        said,
        'A session gained a moment ago was refused as well: check that the user may use the API.',
      );
    }
    await this.#parts.token.renew(attempt.token, options);
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
    this.#parts.log.warn(`${what} (${request.what}: ${whyOf(request, attempt)}); trying again`);
  }
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
