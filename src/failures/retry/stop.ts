import type { LoadError } from '../../errors.ts';
import type { ParsedError } from '../parse-error.ts';

/** Why the rest of a batch is not sent: carried by each record that was left. */
export interface Stop {
  errorCode: 'STORAGE_LIMIT_EXCEEDED' | 'REQUEST_LIMIT_EXCEEDED' | 'SF_API_LIMIT';
  said: string;
}

const hasCode = (error: ParsedError, code: string) =>
  error.errorCode === code || error.innerCodes.includes(code);

/** An answer after which every further call would only be refused too: no room, or no calls left for the day. */
export function stopOf(error: ParsedError): Stop | undefined {
  for (const one of [error, ...error.further]) {
    if (hasCode(one, 'STORAGE_LIMIT_EXCEEDED')) {
      return { errorCode: 'STORAGE_LIMIT_EXCEEDED', said: one.errorMessage };
    }
    if (one.errorCode === 'REQUEST_LIMIT_EXCEEDED' && !/concurrent/i.test(one.errorMessage)) {
      return { errorCode: 'REQUEST_LIMIT_EXCEEDED', said: one.errorMessage };
    }
  }
  return undefined;
}

/** The connection makes no further call: the org's day is used up, or the share of it that loads may use (issue 4). */
export function stopOfLimit(error: LoadError): Stop {
  return { errorCode: 'SF_API_LIMIT', said: error.message };
}
