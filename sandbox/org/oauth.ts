import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { readAll } from './http/body.ts';
import { type Call, json, Refusal, type Reply } from './http/reply.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import type { Settings } from './options.ts';
import type { Sessions } from './sessions.ts';

const JWT_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const LOGIN_HOSTS = ['https://login.salesforce.com', 'https://test.salesforce.com'];

/** Errors of the token endpoint are an object, with status 400 (reference §5). */
const refuse = (error: string, error_description: string): Refusal =>
  new Refusal(json(400, { error, error_description }));

const REFUSED_LOGINS = {
  'not-approved': () => refuse('invalid_grant', "user hasn't approved this consumer"),
  'not-admin-approved': () => refuse('invalid_app_access', 'user is not admin approved to access this app'),
  'no-client-credentials-user': () => refuse('invalid_grant', 'no client credentials user enabled'),
  'authentication-failure': () => refuse('invalid_grant', 'authentication failure'),
} as const;

interface Parts {
  settings: Settings;
  sessions: Sessions;
  /** PEM of the key that assertions are checked against. */
  publicKey: string;
  url: () => string;
}

/** /services/oauth2/token: the four flows that the loader offers. */
export class TokenEndpoint {
  readonly #parts: Parts;
  #refreshToken: string;
  #rotations = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#refreshToken = parts.settings.clients.refreshToken;
  }

  /** The refresh token that is good now. */
  get refreshToken(): string {
    return this.#refreshToken;
  }

  /** Makes the refresh token of the start good again. */
  reset(): void {
    this.#refreshToken = this.#parts.settings.clients.refreshToken;
  }

  async token(call: Call): Promise<Reply> {
    const form = new URLSearchParams((await readAll(call)).toString('utf8'));
    const refused = this.#parts.settings.refuseLogin;
    if (refused) {
      throw REFUSED_LOGINS[refused]();
    }
    switch (form.get('grant_type')) {
      case 'client_credentials':
        return this.#clientCredentials(form, call.headers.authorization);
      case JWT_GRANT:
        return this.#jwt(form.get('assertion') ?? '');
      case 'refresh_token':
        return this.#refresh(form, call.headers.authorization);
      case 'password':
        return this.#password(form, call.headers.authorization);
      default:
        throw refuse('unsupported_grant_type', 'grant type not supported');
    }
  }

  #clientCredentials(form: URLSearchParams, authorization: string | undefined): Reply {
    this.#checkClient(form, authorization, true);
    const { access_token, signature, scope, instance_url, id, token_type, issued_at } = this.#grant();
    return json(200, { access_token, signature, scope, instance_url, id, token_type, issued_at });
  }

  #jwt(assertion: string): Reply {
    const { clients } = this.#parts.settings;
    const claims = this.#verified(assertion);
    if (claims.iss !== clients.clientId) {
      throw refuse('invalid_client_id', 'client identifier invalid');
    }
    if (claims.sub !== clients.username) {
      throw refuse('invalid_grant', "user hasn't approved this consumer");
    }
    const { access_token, scope, instance_url, id, token_type } = this.#grant();
    return json(200, { access_token, scope, instance_url, id, token_type });
  }

  #refresh(form: URLSearchParams, authorization: string | undefined): Reply {
    const { settings } = this.#parts;
    this.#checkClient(form, authorization, false);
    if (!same(form.get('refresh_token') ?? '', this.#refreshToken)) {
      throw refuse('invalid_grant', 'expired access/refresh token');
    }
    const { access_token, signature, scope, instance_url, id, token_type, issued_at } = this.#grant();
    if (!settings.rotateRefreshTokens) {
      return json(200, { access_token, signature, scope, instance_url, id, token_type, issued_at });
    }
    this.#rotations++;
    this.#refreshToken = `${settings.clients.refreshToken}-${this.#rotations}`;
    const refresh_token = this.#refreshToken;
    return json(200, {
      access_token,
      refresh_token,
      signature,
      scope,
      instance_url,
      id,
      token_type,
      issued_at,
    });
  }

  #password(form: URLSearchParams, authorization: string | undefined): Reply {
    const { clients } = this.#parts.settings;
    this.#checkClient(form, authorization, true);
    const accepted = [clients.password, clients.password + clients.securityToken];
    const isKnown = form.get('username') === clients.username;
    if (!isKnown || !accepted.some((password) => same(password, form.get('password') ?? ''))) {
      throw refuse('invalid_grant', 'authentication failure');
    }
    const { access_token, instance_url, id, token_type, issued_at, signature } = this.#grant();
    return json(200, { access_token, instance_url, id, token_type, issued_at, signature });
  }

  /** Client id and secret, from the form or as Basic. A refresh may leave the secret out. */
  #checkClient(form: URLSearchParams, authorization: string | undefined, needsSecret: boolean): void {
    const { clients } = this.#parts.settings;
    const basic = basicCredentials(authorization);
    const id = form.get('client_id') ?? basic?.id ?? '';
    const secret = form.get('client_secret') ?? basic?.secret;
    if (!same(id, clients.clientId)) {
      throw refuse('invalid_client_id', 'client identifier invalid');
    }
    if ((needsSecret || secret !== undefined) && !same(secret ?? '', clients.clientSecret)) {
      throw refuse('invalid_client', 'invalid client credentials');
    }
  }

  /** The claims of an assertion whose signature, audience and time hold. */
  #verified(assertion: string): JsonObject {
    const { settings, publicKey, url } = this.#parts;
    const [head = '', body = '', signature = ''] = assertion.split('.');
    const header = decoded(head);
    const claims = decoded(body);
    const key = createPublicKey(publicKey);
    const isSigned =
      header?.alg === 'RS256' &&
      verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'));
    if (!claims || !isSigned) {
      throw refuse('invalid_grant', 'invalid assertion');
    }
    const audience = String(claims.aud).replace(/\/(services\/oauth2\/token)?$/, '');
    if (![...LOGIN_HOSTS, url()].includes(audience)) {
      throw refuse('invalid_grant', 'audience is invalid');
    }
    const left = Number(claims.exp) - settings.now() / 1000;
    if (!(left > 0 && left <= settings.jwtMaxLife)) {
      throw refuse('invalid_grant', 'expired authorization code');
    }
    return claims;
  }

  #grant(): Record<
    'access_token' | 'signature' | 'scope' | 'instance_url' | 'id' | 'token_type' | 'issued_at',
    string
  > {
    const { settings, sessions, url } = this.#parts;
    const issued_at = String(settings.now());
    const id = `${url()}/id/${sessions.orgId}/${sessions.userId}`;
    const signature = createHmac('sha256', settings.clients.clientSecret)
      .update(id + issued_at)
      .digest('base64');
    const access_token = sessions.open();
    return {
      access_token,
      signature,
      scope: 'id api',
      instance_url: url(),
      id,
      token_type: 'Bearer',
      issued_at,
    };
  }
}

function basicCredentials(authorization: string | undefined): { id: string; secret: string } | undefined {
  const encoded = /^Basic (.+)$/.exec(authorization ?? '')?.[1];
  if (!encoded) {
    return undefined;
  }
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return { id, secret: secret.join(':') };
}

function decoded(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
