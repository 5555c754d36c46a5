/**
 * The stable codes of everything that can go wrong in a load (design §6). Flows switch on `msg.error.code`, so a code,
 * once published, keeps its meaning.
 */
export const ERROR_CODES = [
  'SF_AUTH_FAILED',
  'SF_API_LIMIT',
  'SF_REQUEST_FAILED',
  'BULK_JOB_FAILED',
  'BULK_JOB_ABORTED',
  'BULK_JOB_TIMEOUT',
  'BULK_JOB_STALLED',
  'BULK_JOB_GONE',
  'RESULTS_INCOMPLETE',
  'RECORD_INVALID',
  'RECORD_TOO_LARGE',
  'LOAD_ALREADY_RUNNING',
  'LOAD_STALE',
  'LOAD_UNSETTLED',
  'LOAD_BROKEN_OFF',
  'DB_UNAVAILABLE',
  'DB_QUERY_FAILED',
  'CONFIG_INVALID',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * A failure that a person reads at 2 AM: `message` says what happened, to which job or record, and what to do. It never
 * holds a secret or the content of a record; `cause` keeps what was thrown below.
 */
export class LoadError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'LoadError';
    this.code = code;
  }
}

export function isLoadError(error: unknown, code?: ErrorCode): error is LoadError {
  return error instanceof LoadError && (code === undefined || error.code === code);
}

/** The text of anything thrown, for messages that name their cause. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  return String(error);
}
