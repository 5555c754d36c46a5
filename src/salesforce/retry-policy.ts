import type { CallKind } from './call.ts';
import { type ApiError, hasCode, isHtml } from './error-body.ts';

/** What one attempt came to. */
export type Outcome =
  | 'accepted'
  | 'refused'
  | 'not-sent'
  | 'untrusted'
  | 'lost'
  | 'page'
  | 'unauthorized'
  | 'concurrent-limit'
  | 'daily-limit'
  | 'too-many'
  | 'unavailable';

/** What follows from it. `repeat…`: the same request again, after a wait of that kind. */
export type Reaction =
  | 'return'
  | 'refuse'
  | 'give-up'
  | 'doubt'
  | 'repeat-outage'
  | 'repeat-concurrent'
  | 'repeat-daily'
  | 'reauthenticate'
  | 'reauthenticate-then-doubt';

/**
 * The whole policy (design §7, issue 4). A column never says `repeat` where the request may have been processed, unless
 * processing it twice does no harm.
 */
export const REACTIONS: Record<Outcome, Record<CallKind, Reaction>> = {
  accepted: { safe: 'return', doubtful: 'return', upload: 'return' },
  refused: { safe: 'refuse', doubtful: 'refuse', upload: 'refuse' },
  // Connection refused, name not found, TLS handshake broken: no byte of the request left.
  'not-sent': { safe: 'repeat-outage', doubtful: 'repeat-outage', upload: 'repeat-outage' },
  // A certificate that is not accepted now will not be accepted in ten minutes.
  untrusted: { safe: 'give-up', doubtful: 'give-up', upload: 'give-up' },
  // Reset, time-out, silence, broken body: after the request, before the end of the answer.
  lost: { safe: 'repeat-outage', doubtful: 'doubt', upload: 'doubt' },
  // HTML where JSON or CSV was asked for: a proxy or a maintenance page spoke, whatever its status.
  page: { safe: 'repeat-outage', doubtful: 'doubt', upload: 'doubt' },
  unauthorized: { safe: 'reauthenticate', doubtful: 'reauthenticate', upload: 'reauthenticate-then-doubt' },
  'concurrent-limit': { safe: 'repeat-concurrent', doubtful: 'repeat-concurrent', upload: 'doubt' },
  'daily-limit': { safe: 'repeat-daily', doubtful: 'repeat-daily', upload: 'doubt' },
  'too-many': { safe: 'repeat-outage', doubtful: 'repeat-outage', upload: 'doubt' },
  unavailable: { safe: 'repeat-outage', doubtful: 'doubt', upload: 'doubt' },
};

/** 408 and 420 may come after processing as well as before. Every 5xx counts as unavailable. */
const UNAVAILABLE_STATUSES = new Set([408, 420]);

/**
 * 403 is Salesforce's answer to too many calls, not 429. `TotalRequests Limit exceeded.` is the day's allowance,
 * `ConcurrentRequests (Concurrent API Requests) Limit exceeded.` passes in seconds (reference bulk-api-2.md §3).
 */
const LIMIT_CODE = 'REQUEST_LIMIT_EXCEEDED';
const CONCURRENT_TEXT = /concurrent/i;

export function outcomeOf(
  answer: { status: number; contentType: string | undefined; text: string; errors: readonly ApiError[] },
  alsoAccepted: readonly number[],
): Outcome {
  const { status, errors } = answer;
  if (status === 401 || (status === 403 && errors.some(saysBadToken))) return 'unauthorized';
  if (status === 429) return 'too-many';
  if (status >= 500 || UNAVAILABLE_STATUSES.has(status)) return 'unavailable';
  if (isHtml(answer.contentType, answer.text)) return 'page';
  if ((status >= 200 && status < 300) || alsoAccepted.includes(status)) return 'accepted';
  if (status === 403 && hasCode(errors, LIMIT_CODE)) {
    return errors.some(({ message }) => CONCURRENT_TEXT.test(message)) ? 'concurrent-limit' : 'daily-limit';
  }
  return 'refused';
}

/** userinfo's word for a session that has ended, with status 403 and as plain text. */
function saysBadToken({ errorCode, message }: ApiError): boolean {
  return [errorCode, message].includes('Bad_OAuth_Token');
}

const UNTRUSTED_CODES =
  /^(?:CERT_|ERR_TLS_CERT|ERR_SSL_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|HOSTNAME_MISMATCH|ERR_OSSL)/;

/** An exchange that failed: never sent, sent into the void, or refused by our own trust in certificates. */
export function outcomeOfFailure(failure: { sent: boolean; cause?: unknown }): Outcome {
  if (failure.sent) return 'lost';
  return UNTRUSTED_CODES.test(codeOf(failure.cause)) ? 'untrusted' : 'not-sent';
}

/** Whether an attempt with this outcome may have done what it asked for. */
export function mayHaveBeenProcessed(outcome: Outcome): boolean {
  return REACTIONS[outcome].doubtful === 'doubt';
}

/**
 * 401 bodies that a new token does not cure: the app or the user is shut out of the API (as jsforce's http-api.ts knows
 * them; reference §5).
 */
export const INCURABLE_401 = [
  'Connected app is not attached to Agent',
  'This session is not valid for use with the REST API',
];

/** Milliseconds. The n-th wait is random in [0, base × 2ⁿ], at least `floor`, at most `cap` (full jitter). */
export interface BackOff {
  baseMs: number;
  floorMs: number;
  capMs: number;
}

export type WaitKind = 'outage' | 'concurrent' | 'daily';

export const BACK_OFFS: Record<WaitKind, BackOff> = {
  outage: { baseMs: 1_000, floorMs: 100, capMs: 60_000 },
  concurrent: { baseMs: 4_000, floorMs: 1_000, capMs: 20_000 },
  daily: { baseMs: 60_000, floorMs: 30_000, capMs: 300_000 },
};

export function waitMs(backOff: BackOff, failures: number, random: () => number): number {
  const ceiling = Math.min(backOff.capMs, backOff.baseMs * 2 ** Math.min(failures, 30));
  return Math.max(backOff.floorMs, Math.round(random() * ceiling));
}

/** `Retry-After`, in seconds or as an HTTP date against the org's own clock. Undefined when absent or unreadable. */
export function retryAfterMs(header: string | undefined, orgNow: number): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - orgNow);
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'cause' in error ? codeOf(error.cause) : '';
}
