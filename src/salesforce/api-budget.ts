import type { Clock } from '../clock.ts';
import { LoadError } from '../errors.ts';

export interface ApiUsage {
  used: number;
  allowed: number;
}

/** A reading older than this says nothing: the day is a rolling one, and calls fall out of it. */
const READING_LIFE_MS = 15 * 60_000;

/**
 * `api-usage=10018/100000`, also behind or before `api-bursts=…` and `per-app-api-usage=17/250(appName=…)`
 * (reference bulk-api-2.md §3: split on `;`).
 */
export function parseLimitInfo(header: string | undefined): ApiUsage | undefined {
  for (const part of (header ?? '').split(/[;,]/)) {
    const match = /^\s*api-usage=(\d+)\/(\d+)\s*$/.exec(part);
    if (match) return { used: Number(match[1]), allowed: Number(match[2]) };
  }
  return undefined;
}

/** The day's API calls of the org, as its answers tell, against the share that loads may use. */
export class ApiBudget {
  readonly #clock: Clock;
  readonly #percent: number;
  #usage: ApiUsage | undefined;
  #readAt = 0;

  constructor(clock: Clock, percent: number) {
    this.#clock = clock;
    this.#percent = percent;
  }

  get usage(): ApiUsage | undefined {
    return this.#usage;
  }

  read(header: string | undefined): void {
    const usage = parseLimitInfo(header);
    if (usage === undefined) return;
    this.#usage = usage;
    this.#readAt = this.#clock.now();
  }

  get exceeded(): boolean {
    if (this.#usage === undefined) return false;
    if (this.#clock.now() - this.#readAt > READING_LIFE_MS) return false;
    return this.#usage.used > (this.#usage.allowed * this.#percent) / 100;
  }

  /** Throws SF_API_LIMIT beyond the budget: for calls that can be left out, such as the retry of a record. */
  assert(): void {
    if (!this.exceeded || this.#usage === undefined) return;
    const { used, allowed } = this.#usage;
    throw new LoadError(
      'SF_API_LIMIT',
      `${used} of the org's ${allowed} API calls of the last 24 hours are used, more than the ${this.#percent} % that loads may use (apiBudget)`,
    );
  }
}
