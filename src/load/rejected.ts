import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import type { Failure } from '../failure.ts';
import type { Rejected } from './job-files.ts';

/**
 * Records that never left, as failures for the dead letter. Their keys are their own in a run: the same row rejected again
 * by a later run is another failure, two equal rows of one run are two.
 */
export class RejectedRecords {
  readonly #runId: string;
  readonly #seen = new Map<string, number>();

  constructor(runId: string) {
    this.#runId = runId;
  }

  asFailure({ record, code, message }: Rejected): Failure {
    const hash = createHash('sha256').update(code).update(textOf(record)).digest('hex').slice(0, 32);
    const occurrence = (this.#seen.get(hash) ?? 0) + 1;
    this.#seen.set(hash, occurrence);
    return {
      key: `${this.#runId}-${hash}-${occurrence}`,
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

/** One may have been rejected because JSON cannot hold it. */
function textOf(record: unknown): string {
  try {
    return JSON.stringify(record, (_, value) => (typeof value === 'bigint' ? String(value) : value)) ?? '';
  } catch {
    return inspect(record, { depth: 4, breakLength: Number.POSITIVE_INFINITY });
  }
}
