import type { OAuth2 } from 'jsforce/lib/oauth2.js';
import { LoadError } from '../errors.ts';
import type { Credentials, GivenAccessToken } from './credentials.ts';
import { isHtml, parseErrorBody } from './error-body.ts';
import { type HttpRequest, type HttpResponse, oauth2Through } from './jsforce-bridge.ts';
import { jwtAssertion } from './jwt-assertion.ts';
import { loginAdvice, loginRefusalPasses } from './login-refusals.ts';
import type { RefreshTokenStore } from './refresh-token-store.ts';
import type { HttpTransport } from './transport.ts';

/** What a login gives. `id` is the identity URL, `…/id/<org id>/<user id>`. */
export interface Login {
  accessToken: string;
  instanceUrl: string;
  id: string | undefined;
}

/** The token endpoint did not say yes or no: unreachable, overloaded, or an error that passes. */
export class LoginUnavailable extends Error {
  readonly retryAfter: string | undefined;

  constructor(why: string, options: { retryAfter?: string | undefined; cause?: unknown } = {}) {
    super(why, { cause: options.cause });
    this.name = 'LoginUnavailable';
    this.retryAfter = options.retryAfter;
  }
}

export interface LoginOptions {
  transport: HttpTransport;
  refreshTokens: RefreshTokenStore | undefined;
  /** Milliseconds, by the org's clock where it is known. */
  now: number;
  signal?: AbortSignal | undefined;
  /** The login waits for the store of the refresh tokens, and that is why. */
  onWait?: ((reason: LoadError) => void) | undefined;
}

type Grant = Exclude<Credentials, GivenAccessToken>;

interface TokenAnswer {
  access_token: string;
  instance_url: string;
  id?: string;
  refresh_token?: string;
}

/**
 * One request to the token endpoint, through jsforce's OAuth2 on our transport.
 *
 * Throws SF_AUTH_FAILED when Salesforce says no (with its reason and what to do), LoginUnavailable when it may say yes
 * later, CONFIG_INVALID for a key that is none.
 */
export async function logIn(credentials: Grant, options: LoginOptions): Promise<Login> {
  if (credentials.flow === 'refresh-token' && options.refreshTokens !== undefined) {
    return logInWithRotation(credentials, options.refreshTokens, options);
  }
  return loginFrom(await requestToken(credentials, options));
}

/**
 * With rotation on, the old token dies with the refresh: when the answer of a refresh is lost the new one is lost with it, and
 * the next refresh is refused. Nobody but a person can mend that; the advice says how.
 */
async function logInWithRotation(
  credentials: Extract<Grant, { flow: 'refresh-token' }>,
  store: RefreshTokenStore,
  options: LoginOptions,
): Promise<Login> {
  let login: Login | undefined;
  await store.update(async (current) => {
    const refreshToken = current ?? credentials.refreshToken;
    const answer = await requestToken({ ...credentials, refreshToken }, options);
    login = loginFrom(answer);
    return answer.refresh_token ?? refreshToken;
  }, options);
  if (login === undefined) throw new Error('the refresh token store did not run the refresh');
  return login;
}

async function requestToken(credentials: Grant, options: LoginOptions): Promise<TokenAnswer> {
  let refusal: LoadError | undefined;
  const oauth2 = await oauth2Through(
    async (request) => {
      const answer = await askTokenEndpoint(request, options);
      refusal = refusalOf(answer, credentials);
      return answer;
    },
    { loginUrl: credentials.loginUrl.replace(/\/+$/, ''), ...clientOf(credentials) },
  );
  try {
    return tokenAnswer(await grant(oauth2, credentials, options.now));
  } catch (error) {
    throw refusal ?? error;
  }
}

/** The assertion alone tells who the client is. */
function clientOf(credentials: Grant): { clientId?: string; clientSecret?: string } {
  if (credentials.flow === 'jwt-bearer') return {};
  const { clientId, clientSecret } = credentials;
  return clientSecret ? { clientId, clientSecret } : { clientId };
}

function grant(oauth2: OAuth2, credentials: Grant, now: number): Promise<unknown> {
  switch (credentials.flow) {
    case 'client-credentials':
      return oauth2.requestToken({ grant_type: 'client_credentials' });
    case 'jwt-bearer':
      return oauth2.requestToken({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: jwtAssertion(credentials, now),
      });
    case 'refresh-token':
      return oauth2.refreshToken(credentials.refreshToken);
    case 'password':
      return oauth2.authenticate(credentials.username, credentials.password);
  }
}

async function askTokenEndpoint(request: HttpRequest, options: LoginOptions): Promise<HttpResponse> {
  const { transport, signal } = options;
  const url = new URL(request.url);
  let answer: HttpResponse;
  try {
    const received = await transport.send({
      method: 'POST',
      origin: url.origin,
      path: url.pathname,
      headers: { ...request.headers, accept: 'application/json' },
      body: String(request.body ?? ''),
      answerMs: transport.timeouts.answerMs,
      signal,
    });
    answer = { statusCode: received.status, headers: received.headers, body: await received.text() };
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw new LoginUnavailable(`${url.origin} cannot be reached`, { cause });
  }
  if (!saysYesOrNo(answer)) {
    throw new LoginUnavailable(`the token endpoint of ${url.origin} answered HTTP ${answer.statusCode}`, {
      retryAfter: answer.headers['retry-after'],
    });
  }
  return answer;
}

function saysYesOrNo({ statusCode, headers, body }: HttpResponse): boolean {
  if (statusCode >= 500 || [408, 420, 429].includes(statusCode)) return false;
  if (isHtml(headers['content-type'], body)) return false;
  if (statusCode < 400) return true;
  const error = parseErrorBody(statusCode, body)[0];
  return error === undefined || !loginRefusalPasses(error.errorCode, error.message);
}

function refusalOf(answer: HttpResponse, credentials: Grant): LoadError | undefined {
  if (answer.statusCode < 400) return undefined;
  const error = parseErrorBody(answer.statusCode, answer.body)[0];
  const code = error?.errorCode ?? `HTTP_${answer.statusCode}`;
  const description = error?.message ?? '';
  return new LoadError(
    'SF_AUTH_FAILED',
    `Salesforce refused the login (${credentials.flow}) at ${credentials.loginUrl}: ${code}: ${description}. ${loginAdvice(code, description)}`,
  );
}

function tokenAnswer(body: unknown): TokenAnswer {
  const answer = (typeof body === 'object' && body !== null ? body : {}) as Partial<TokenAnswer>;
  if (typeof answer.access_token !== 'string' || typeof answer.instance_url !== 'string') {
    throw new LoginUnavailable('the token endpoint answered without access_token and instance_url');
  }
  return answer as TokenAnswer;
}

function loginFrom(answer: TokenAnswer): Login {
  return { accessToken: answer.access_token, instanceUrl: answer.instance_url, id: answer.id };
}
