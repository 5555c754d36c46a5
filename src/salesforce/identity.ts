import { LoadError } from '../errors.ts';
import type { Token } from './access-token.ts';
import type { ApiCalls, CallOptions } from './call.ts';
import { isRefusal } from './outcome.ts';
import { query } from './query.ts';

export interface Identity {
  /** 18 characters. */
  orgId: string;
  userId: string;
  /** Empty when the session may not read it. */
  username: string;
  instanceUrl: string;
}

/**
 * Org and user of a token. The identity URL that comes with a token holds the ids, and a query gives the name: both need no
 * scope but `api`. A given access token has no such URL; userinfo tells then.
 */
export async function readIdentity(session: ApiCalls, token: Token, options: CallOptions): Promise<Identity> {
  const { instanceUrl } = token;
  const known = idsOf(token.id);
  if (known)
    return { ...known, username: await usernameByQuery(session, known.userId, options), instanceUrl };
  const info = await userinfo(session, options);
  const orgId = text(info.organization_id);
  const userId = text(info.user_id);
  if (orgId === '' || userId === '') throw unnamed(undefined);
  return { orgId, userId, username: text(info.preferred_username), instanceUrl };
}

async function userinfo(session: ApiCalls, options: CallOptions): Promise<Record<string, unknown>> {
  try {
    const { body } = await session.call(
      { what: 'The user of the session', method: 'GET', path: '/services/oauth2/userinfo', kind: 'safe' },
      options,
    );
    return (body ?? {}) as Record<string, unknown>;
  } catch (error) {
    throw isRefusal(error) ? unnamed(error) : error;
  }
}

function unnamed(cause: unknown): LoadError {
  return new LoadError(
    'SF_AUTH_FAILED',
    'Salesforce does not say whose session this is: the app needs the scope "id" (Access the identity URL service)',
    { cause },
  );
}

function idsOf(identityUrl: string | undefined): { orgId: string; userId: string } | undefined {
  const match = /\/id\/(00D\w{12,15})\/(005\w{12,15})\/?$/.exec(identityUrl ?? '');
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { orgId: match[1], userId: match[2] };
}

async function usernameByQuery(session: ApiCalls, userId: string, options: CallOptions): Promise<string> {
  const soql = `SELECT Username FROM User WHERE Id = '${userId}'`;
  try {
    const [user] = await query(session, 'The name of the user', soql, options);
    return text(user?.Username);
  } catch (error) {
    // The name is for people to read; ids are what the load needs.
    if (isRefusal(error)) return '';
    throw error;
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
