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
 * Org and user of a token: from the identity URL that came with it, and from userinfo for the name. An app without the
 * `id` scope may not ask userinfo: then a query gives the name.
 */
export async function readIdentity(session: ApiCalls, token: Token, options: CallOptions): Promise<Identity> {
  const { instanceUrl } = token;
  const known = idsOf(token.id);
  try {
    const { body } = await session.call(
      { what: 'The user of the session', method: 'GET', path: '/services/oauth2/userinfo', kind: 'safe' },
      options,
    );
    const info = (body ?? {}) as Record<string, unknown>;
    const orgId = known?.orgId ?? text(info.organization_id);
    const userId = known?.userId ?? text(info.user_id);
    if (orgId !== '' && userId !== '') {
      return { orgId, userId, username: text(info.preferred_username), instanceUrl };
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (known)
      return { ...known, username: await usernameByQuery(session, known.userId, options), instanceUrl };
  }
  throw new LoadError(
    'SF_AUTH_FAILED',
    'Salesforce does not say whose session this is: the app needs the scope "id" (Access the identity URL service)',
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
