import type { Failure } from '../failure.ts';
import type { Rejected } from './job-files.ts';

/** Rejected records of a CSV that leave before it is loaded: full groups while it is read, at its end the rest. */
export interface RejectedGroup<R> {
  rejected: R[];
  /** No more come. Where there are others, it is handed on when the nodes behind are through with all. May have none. */
  isLast: boolean;
  /** To be called when it has left: what has not is not counted. */
  sent(): void;
  /** Aborted when the run breaks off: nothing may leave any more. */
  signal: AbortSignal;
}

/**
 * Records that never left, as failures for the dead letter. Their keys count them in their run: the same row rejected again
 * by a later run is another failure, two equal rows of one run are two.
 */
export class RejectedRecords {
  readonly #runId: string;
  #count = 0;

  constructor(runId: string) {
    this.#runId = runId;
  }

  asFailure({ record, code, message }: Rejected): Failure {
    this.#count += 1;
    return {
      key: `${this.#runId}-${this.#count}`,
      sfId: '',
      error: `${code}:${message}:--`,
      errorCode: code,
      errorMessage: message,
      errorFields: [],
      errorCategory: 'VALIDATION',
      retryable: false,
      rule: 'refused before the upload',
      originalData: record,
      attempts: [],
    };
  }
}
