import { LoadError } from '../errors.ts';

export interface ClientCredentials {
  flow: 'client-credentials';
  loginUrl: string;
  clientId: string;
  clientSecret: string;
}

export interface JwtBearer {
  flow: 'jwt-bearer';
  loginUrl: string;
  /** Default by `jwtAudience(loginUrl)`. */
  audience?: string | undefined;
  clientId: string;
  username: string;
  /** PEM; line breaks that a single-line form field has lost are put back. */
  privateKey: string;
}

export interface RefreshTokenFlow {
  flow: 'refresh-token';
  loginUrl: string;
  clientId: string;
  clientSecret?: string | undefined;
  /** The first one; where rotation is on, newer ones are in the RefreshTokenStore. */
  refreshToken: string;
}

export interface UsernamePassword {
  flow: 'password';
  loginUrl: string;
  clientId: string;
  clientSecret: string;
  username: string;
  /** With the security token appended where the org asks for it. */
  password: string;
}

export interface GivenAccessToken {
  flow: 'access-token';
  instanceUrl: string;
  accessToken: string;
}

/** The five ways to a session (design §6, reference bulk-api-2.md §5). */
export type Credentials =
  | ClientCredentials
  | JwtBearer
  | RefreshTokenFlow
  | UsernamePassword
  | GivenAccessToken;

export type AuthFlow = Credentials['flow'];

const REQUIRED: Record<AuthFlow, readonly string[]> = {
  'client-credentials': ['loginUrl', 'clientId', 'clientSecret'],
  'jwt-bearer': ['loginUrl', 'clientId', 'username', 'privateKey'],
  'refresh-token': ['loginUrl', 'clientId', 'refreshToken'],
  password: ['loginUrl', 'clientId', 'clientSecret', 'username', 'password'],
  'access-token': ['instanceUrl', 'accessToken'],
};

/** Throws CONFIG_INVALID naming the first property that is missing or cannot be right. */
export function checkCredentials(credentials: Credentials): void {
  const values = credentials as unknown as Record<string, unknown>;
  for (const name of REQUIRED[credentials.flow]) {
    const value = values[name];
    if (typeof value === 'string' && value.trim() !== '') continue;
    throw new LoadError('CONFIG_INVALID', `${name} is missing: the ${credentials.flow} flow needs it`);
  }
  if (credentials.flow === 'access-token') checkHost('instanceUrl', credentials.instanceUrl);
  else checkHost('loginUrl', credentials.loginUrl);
}

/**
 * The `aud` of a JWT: production, sandbox, or the site itself for an Experience Cloud login (reference §5). A sandbox's
 * My Domain reads `name--box.sandbox.my.salesforce.com`.
 */
export function jwtAudience(loginUrl: string): string {
  const url = new URL(loginUrl);
  if (url.hostname.endsWith('.my.site.com')) return loginUrl.replace(/\/+$/, '');
  const isSandbox = url.hostname === 'test.salesforce.com' || url.hostname.includes('.sandbox.');
  return isSandbox ? 'https://test.salesforce.com' : 'https://login.salesforce.com';
}

function checkHost(name: string, value: string): void {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['https:', 'http:'].includes(url.protocol)) {
    throw new LoadError('CONFIG_INVALID', `${name} is not a web address: ${value}`);
  }
  // Such a host serves the user interface; the API answers INVALID_SESSION_ID there (reference §5).
  if (url.hostname.endsWith('.lightning.force.com')) {
    throw new LoadError(
      'CONFIG_INVALID',
      `${name} is a page of the user interface (${url.hostname}); give the My Domain host that ends with .my.salesforce.com`,
    );
  }
}
