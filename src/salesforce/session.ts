import { type Clock, systemClock } from '../clock.ts';
import { isLoadError, LoadError } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import { orAborted } from '../time-limit.ts';
import { AccessToken, type Renewal, type Token } from './access-token.ts';
import { ApiBudget, type ApiUsage } from './api-budget.ts';
import { ApiCaller } from './api-caller.ts';
import type { ApiAnswer, ApiCalls, ApiRequest, CallOptions } from './call.ts';
import { type Credentials, checkCredentials } from './credentials.ts';
import { reasonOfFailure } from './exchange-failed.ts';
import { type Identity, readIdentity } from './identity.ts';
import { LoginUnavailable, logIn } from './login.ts';
import { OrgClock } from './org-clock.ts';
import { Patience } from './patience.ts';
import type { RefreshTokenStore } from './refresh-token-store.ts';
import { outcomeOfFailure, retryAfterMs } from './retry-policy.ts';
import { HttpTransport, type Timeouts, type TlsOptions } from './transport.ts';

export interface SessionOptions {
  credentials: Credentials;
  /** `66.0` */
  apiVersion: string;
  tls?: TlsOptions | undefined;
  /** Share of the org's daily API calls that loads may use, in per cent (design §6 `apiBudget`). */
  apiBudgetPercent?: number | undefined;
  clock?: Clock | undefined;
  log?: Logger | undefined;
  /** How long an outage is waited out, from its first sign; default 10 minutes. */
  outageMs?: number | undefined;
  /** The same for a used-up day's allowance; default as `outageMs`. */
  limitWaitMs?: number | undefined;
  refreshTokens?: RefreshTokenStore | undefined;
  timeouts?: Partial<Timeouts> | undefined;
  /** For the jitter; in [0, 1). */
  random?: (() => number) | undefined;
}

const DEFAULT_OUTAGE_MS = 600_000;

/** After Salesforce has refused a login the same is not tried again for so long: failed logins lock a user out. */
const REFUSED_LOGIN_HOLD_MS = 30_000;

/**
 * One connection to one org: one token that all nodes share, one set of sockets, one account of API calls.
 *
 * All calls reject with LoadError (SF_AUTH_FAILED, SF_API_LIMIT, SF_REQUEST_FAILED and its SalesforceRefusal), with
 * DoubtfulOutcome where a call that is not `safe` may have been processed, or with the reason of the signal.
 */
export class SalesforceSession implements ApiCalls {
  readonly #credentials: Credentials;
  readonly #apiVersion: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #outageMs: number;
  readonly #refreshTokens: RefreshTokenStore | undefined;
  readonly #transport: HttpTransport;
  readonly #budget: ApiBudget;
  readonly #orgClock: OrgClock;
  readonly #token: AccessToken;
  readonly #caller: ApiCaller;
  readonly #closing = new AbortController();
  #identity: Promise<Identity> | undefined;
  #known: Identity | undefined;
  #refused: { error: LoadError; at: number } | undefined;
  #logins = 0;
  #tokenGiven = false;

  /** Throws CONFIG_INVALID, naming the property, for credentials that cannot be right. */
  constructor(options: SessionOptions) {
    checkCredentials(options.credentials);
    this.#credentials = options.credentials;
    this.#apiVersion = checkedVersion(options.apiVersion);
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#random = options.random ?? Math.random;
    this.#outageMs = options.outageMs ?? DEFAULT_OUTAGE_MS;
    this.#refreshTokens = options.refreshTokens;
    this.#transport = new HttpTransport({ tls: options.tls, timeouts: options.timeouts });
    this.#budget = new ApiBudget(this.#clock, options.apiBudgetPercent ?? 100);
    this.#orgClock = new OrgClock(this.#clock);
    warnOfPlainHttp(options.credentials, this.#log);
    this.#token = new AccessToken((renewal) => this.#obtain(renewal), this.#clock);
    this.#caller = new ApiCaller({
      transport: this.#transport,
      token: this.#token,
      budget: this.#budget,
      orgClock: this.#orgClock,
      clock: this.#clock,
      log: this.#log,
      random: this.#random,
      apiVersion: this.#apiVersion,
      outageMs: this.#outageMs,
      limitWaitMs: options.limitWaitMs ?? this.#outageMs,
    });
  }

  get apiVersion(): string {
    return this.#apiVersion;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get log(): Logger {
    return this.#log;
  }

  /** HTTP requests to the API so far; requests to the token endpoint do not count against the org's allowance. */
  get calls(): number {
    return this.#caller.calls;
  }

  /** Tokens asked for so far. */
  get logins(): number {
    return this.#logins;
  }

  /** The org's API calls of the last 24 hours, as its last answer told. */
  get usage(): ApiUsage | undefined {
    return this.#budget.usage;
  }

  /** More of the org's calls are used than loads may use: polls slow down. */
  get overBudget(): boolean {
    return this.#budget.exceeded;
  }

  /** Throws SF_API_LIMIT beyond the budget: before calls that can be left out, such as the retry of a record. */
  assertBudget(): void {
    this.#budget.assert();
  }

  /** The org's clock (Date headers, whole seconds). */
  orgNow(): Date {
    return new Date(this.#orgClock.now());
  }

  /**
   * Who is logged in, and where. Asked once for all, until the session closes: whoever leaves by his signal takes it from
   * nobody. The first to ask pays for the calls. Who waits for less than the session does asks for himself until it is known.
   */
  identity(options: CallOptions = {}): Promise<Identity> {
    if (this.#known !== undefined) return Promise.resolve(this.#known);
    const isHasty = options.outageMs !== undefined || options.limitWaitMs !== undefined;
    if (isHasty) return this.#readIdentity(options);
    this.#identity ??= this.#readIdentity({ meter: options.meter }).finally(() => {
      this.#identity = undefined;
    });
    return orAborted(options.signal, this.#identity);
  }

  /** For a sequence of calls that goes on trying as a whole. */
  patience(options: CallOptions = {}): Patience {
    return this.#caller.patience(options);
  }

  async call(request: ApiRequest, options: CallOptions = {}): Promise<ApiAnswer> {
    return this.#caller.call(request, this.#untilClosed(options));
  }

  /**
   * One GET streamed to a file, gunzipped where it came so. `onChunk` sees each piece before it is written. A body that
   * breaks off is BodyBrokenOff; what came before it is in the file.
   */
  async download(
    request: ApiRequest,
    sink: { path: string; onChunk: (chunk: Buffer) => void },
    options: CallOptions = {},
  ): Promise<{ status: number; bytes: number; answeredAt: Date | undefined }> {
    return this.#caller.download(request, sink, this.#untilClosed(options));
  }

  /** Breaks off what is under way and waits for nothing. The token is left to end by itself: others may share it. */
  async close(): Promise<void> {
    this.#closing.abort(new LoadError('SF_REQUEST_FAILED', 'the connection to Salesforce was closed'));
    await this.#transport.close();
  }

  #untilClosed(options: CallOptions): CallOptions {
    const closing = this.#closing.signal;
    return { ...options, signal: options.signal ? AbortSignal.any([options.signal, closing]) : closing };
  }

  async #readIdentity(options: CallOptions): Promise<Identity> {
    const token = await this.#token.current(this.#untilClosed(options));
    this.#known = await readIdentity(this, token, options);
    return this.#known;
  }

  /** A token, sought for as long as an outage is waited out, and as somebody waits for it. */
  async #obtain(renewal: Renewal): Promise<Token> {
    const credentials = this.#credentials;
    if (credentials.flow === 'access-token')
      return this.#givenToken(credentials.accessToken, credentials.instanceUrl);
    this.#throwWhileRefused();
    const limit = this.#outageMs;
    const patience = new Patience({
      clock: this.#clock,
      random: this.#random,
      limitMs: { outage: limit, concurrent: limit, daily: limit },
    });
    const signal = this.#closing.signal;
    for (;;) {
      try {
        this.#logins += 1;
        const login = await logIn(credentials, {
          transport: this.#transport,
          refreshTokens: this.#refreshTokens,
          now: this.#orgClock.now(),
          signal,
          onWait: (reason) => renewal.failed(reason),
        });
        return { value: login.accessToken, instanceUrl: login.instanceUrl, id: login.id, accepted: false };
      } catch (error) {
        await this.#afterFailedLogin(error, patience, renewal);
      }
    }
  }

  async #afterFailedLogin(error: unknown, patience: Patience, renewal: Renewal): Promise<void> {
    if (isLoadError(error, 'SF_AUTH_FAILED')) this.#refused = { error, at: this.#clock.now() };
    if (!(error instanceof LoginUnavailable)) throw error;
    const why =
      error.cause === undefined ? error.message : `${error.message}: ${reasonOfFailure(error.cause)}`;
    this.#log.warn(`no login to Salesforce for now (${why})`);
    const reason = new LoadError('SF_REQUEST_FAILED', `no login to Salesforce: ${why}`, {
      cause: error.cause,
    });
    if (isUntrusted(error)) throw reason;
    renewal.failed(reason);
    const waited = await patience.again('outage', {
      retryAfterMs: retryAfterMs(error.retryAfter, this.#orgClock.now()),
      signal: this.#closing.signal,
    });
    if (!waited || !renewal.isWanted) throw reason;
  }

  #throwWhileRefused(): void {
    if (this.#refused === undefined) return;
    if (this.#clock.now() - this.#refused.at < REFUSED_LOGIN_HOLD_MS) throw this.#refused.error;
    this.#refused = undefined;
  }

  #givenToken(value: string, instanceUrl: string): Token {
    if (this.#tokenGiven) {
      throw new LoadError(
        'SF_AUTH_FAILED',
        'The access token has expired or was revoked, and a connection with a given access token cannot gain a new one. Enter a new token, or choose a flow that renews itself',
      );
    }
    this.#tokenGiven = true;
    return { value, instanceUrl, id: undefined, accepted: false };
  }
}

function warnOfPlainHttp(credentials: Credentials, log: Logger): void {
  const url = new URL(credentials.flow === 'access-token' ? credentials.instanceUrl : credentials.loginUrl);
  if (url.protocol === 'https:' || LOOPBACK.test(url.hostname)) return;
  log.warn(
    `the connection to ${url.host} is not encrypted: whoever listens sees the credentials and the records`,
  );
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

function isUntrusted(error: LoginUnavailable): boolean {
  return outcomeOfFailure({ sent: false, cause: error.cause }) === 'untrusted';
}

function checkedVersion(version: string): string {
  const match = /^v?(\d{2,3})(?:\.0)?$/.exec(version.trim());
  // Ingest jobs exist from version 41.0 on (reference bulk-api-2.md §1).
  if (match && Number(match[1]) >= 41) return `${match[1]}.0`;
  throw new LoadError('CONFIG_INVALID', `apiVersion must be a version like 66.0, 41.0 at least: ${version}`);
}
