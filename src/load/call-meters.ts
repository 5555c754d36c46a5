import type { CallMeter } from '../salesforce/call.ts';

/** The API calls of every job this process works on, so that its receipt can name them. */
export class CallMeters {
  readonly #meters = new Map<string, CallMeter>();

  of(jobId: string): CallMeter {
    const known = this.#meters.get(jobId);
    if (known) return known;
    const meter = { calls: 0 };
    this.#meters.set(jobId, meter);
    return meter;
  }

  adopt(jobId: string, meter: CallMeter): void {
    this.#meters.set(jobId, meter);
  }

  forget(jobId: string): void {
    this.#meters.delete(jobId);
  }
}
