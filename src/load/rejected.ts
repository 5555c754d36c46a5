import type { Failure } from '../failure.ts';
import type { Rejected } from './job-files.ts';

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
