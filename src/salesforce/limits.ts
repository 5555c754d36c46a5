import type { CallOptions } from './call.ts';
import type { Identity } from './identity.ts';
import { isRefusal } from './outcome.ts';
import { query } from './query.ts';
import type { SalesforceSession } from './session.ts';

export interface Limit {
  max: number;
  remaining: number;
}

/** The day's limits that a load meets. Null where the org does not say. */
export interface OrgLimits {
  dailyApiRequests: Limit | null;
  /** Batches of 10,000 records, shared with Bulk API 1.0. */
  dailyBulkApiBatches: Limit | null;
}

/** What a person sees after "Test connection". */
export interface ConnectionReport extends Identity, OrgLimits {
  organizationName: string | null;
  isSandbox: boolean | null;
}

export async function readLimits(session: SalesforceSession, options: CallOptions = {}): Promise<OrgLimits> {
  const { body } = await session.call(
    { what: "The org's limits", method: 'GET', path: '/limits', kind: 'safe' },
    options,
  );
  const limits = (body ?? {}) as Record<string, { Max?: unknown; Remaining?: unknown } | undefined>;
  return {
    dailyApiRequests: limitOf(limits.DailyApiRequests),
    dailyBulkApiBatches: limitOf(limits.DailyBulkApiBatches),
  };
}

/** Logs in and looks round; costs three calls. `outageMs` of the options says how long a person waits for it. */
export async function testConnection(
  session: SalesforceSession,
  options: CallOptions = {},
): Promise<ConnectionReport> {
  const identity = await session.identity(options);
  const limits = await readLimits(session, options);
  return { ...identity, ...limits, ...(await readOrganization(session, options)) };
}

async function readOrganization(
  session: SalesforceSession,
  options: CallOptions,
): Promise<Pick<ConnectionReport, 'organizationName' | 'isSandbox'>> {
  try {
    const soql = 'SELECT Name, IsSandbox FROM Organization';
    const [organization] = await query(session, "The org's name", soql, options);
    const { Name, IsSandbox } = organization ?? {};
    return {
      organizationName: typeof Name === 'string' ? Name : null,
      isSandbox: typeof IsSandbox === 'boolean' ? IsSandbox : null,
    };
  } catch (error) {
    // A user who loads data need not have the right to read Organization.
    if (isRefusal(error)) return { organizationName: null, isSandbox: null };
    throw error;
  }
}

function limitOf(limit: { Max?: unknown; Remaining?: unknown } | undefined): Limit | null {
  if (typeof limit?.Max !== 'number' || typeof limit.Remaining !== 'number') return null;
  return { max: limit.Max, remaining: limit.Remaining };
}
