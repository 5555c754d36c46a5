import { LoadError } from '../errors.ts';
import { type ApiError, describeErrors } from './error-body.ts';

/** Salesforce answered and said no: nothing was done. */
export class SalesforceRefusal extends LoadError {
  readonly status: number;
  readonly errorCode: string;
  readonly errors: readonly ApiError[];
  /** The org's clock when it answered; undefined when the answer had no Date header. */
  readonly answeredAt: Date | undefined;

  constructor(
    what: string,
    answer: {
      status: number;
      errors: readonly ApiError[];
      answeredAt?: Date | undefined;
      /** The errors as the message shows them; default in full. */
      said?: string;
      advice?: string | undefined;
    },
  ) {
    const said = answer.said ?? describeErrors(answer.errors);
    const advice = answer.advice ? `. ${answer.advice}` : '';
    super('SF_REQUEST_FAILED', `${what} was refused by Salesforce (HTTP ${answer.status}): ${said}${advice}`);
    this.name = 'SalesforceRefusal';
    this.status = answer.status;
    this.errors = answer.errors;
    this.errorCode = answer.errors[0]?.errorCode ?? `HTTP_${answer.status}`;
    this.answeredAt = answer.answeredAt;
  }
}

/**
 * The request may or may not have been processed: the connection went after sending, nothing came within the time, or a
 * server error on a call that does something. Whoever made the call decides by the rules of design §7; it is never simply
 * repeated.
 */
export class DoubtfulOutcome extends Error {
  /** HTTP status, where there was an answer at all. */
  readonly status: number | undefined;
  readonly errors: readonly ApiError[];
  readonly answeredAt: Date | undefined;

  constructor(
    what: string,
    why: string,
    details: {
      status?: number;
      errors?: readonly ApiError[];
      answeredAt?: Date | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(`${what}: ${why}; Salesforce may or may not have processed it`, { cause: details.cause });
    this.name = 'DoubtfulOutcome';
    this.status = details.status;
    this.errors = details.errors ?? [];
    this.answeredAt = details.answeredAt;
  }
}

/** A download that ended before its end. Asking again is safe. */
export class BodyBrokenOff extends LoadError {
  /** Bytes that had arrived, decoded. */
  readonly bytes: number;

  constructor(what: string, bytes: number, cause: unknown) {
    super('SF_REQUEST_FAILED', `${what} broke off after ${bytes} bytes`, { cause });
    this.name = 'BodyBrokenOff';
    this.bytes = bytes;
  }
}

export function isRefusal(error: unknown): error is SalesforceRefusal {
  return error instanceof SalesforceRefusal;
}

export function isDoubtful(error: unknown): error is DoubtfulOutcome {
  return error instanceof DoubtfulOutcome;
}
