import type { Store } from './data/store.ts';
import type { Jobs } from './ingest/jobs.ts';

/** One request as it was seen, whatever became of it. */
export interface SeenRequest {
  number: number;
  at: number;
  method: string;
  path: string;
  /** 0 when no status was sent. */
  status: number;
  requestBytes: number;
  responseBytes: number;
  ms: number;
  /** The fault that struck it. */
  fault?: string;
  autoAssign?: string;
}

export interface KeyCounts {
  /** Different keys inserted. */
  keys: number;
  /** Insertions, repeats and records deleted since included. */
  inserts: number;
  /** Keys inserted more than once, and how often; at most `limit` of them are named. */
  repeated: Record<string, number>;
  repeatedCount: number;
  /** Of the keys asked for, those that never were inserted. */
  missing: string[];
}

const NAMED = 1000;

/** What happened in the org: the witness that tests ask. */
export class Audit {
  readonly #store: Store;
  readonly #jobs: Jobs;
  readonly #ring: SeenRequest[] = [];
  readonly #ringSize: number;
  readonly #counts = new Map<string, number>();
  #requests = 0;
  #apiCalls = 0;

  constructor(store: Store, jobs: Jobs, ringSize: number) {
    this.#store = store;
    this.#jobs = jobs;
    this.#ringSize = ringSize;
  }

  /** Called by the server at the end of each request. */
  saw(request: Omit<SeenRequest, 'number'>): void {
    this.#requests++;
    this.#ring.push({ number: this.#requests, ...request });
    if (this.#ring.length > this.#ringSize * 2) {
      this.#ring.splice(0, this.#ring.length - this.#ringSize);
    }
    const key = `${request.method} ${template(request.path)}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  countApiCall(): number {
    this.#apiCalls++;
    return this.#apiCalls;
  }

  /** Calls that Salesforce would count against the day's allocation. */
  get apiCalls(): number {
    return this.#apiCalls;
  }

  /** Gives back the day's allocation. */
  resetApiCalls(): void {
    this.#apiCalls = 0;
  }

  /** The last requests (a bounded ring), oldest first; only those whose path matches, when a pattern is given. */
  requests(path?: RegExp | string, method?: string): SeenRequest[] {
    const pattern = typeof path === 'string' ? new RegExp(path) : path;
    return this.#ring
      .slice(-this.#ringSize)
      .filter(
        (request) => (pattern?.test(request.path) ?? true) && (method ?? request.method) === request.method,
      );
  }

  /** Requests so far by method and path, ids in the path replaced: `PUT /services/data/vN/jobs/ingest/{id}/batches`. */
  requestCounts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** Records of an object that exist now. */
  rows(objectName: string): number {
    return this.#store.table(this.#store.model.get(objectName)).size;
  }

  rowsByObject(): Record<string, number> {
    const counts = this.#store.model
      .all()
      .map((object) => [object.name, this.#store.table(object).size] as const);
    return Object.fromEntries(counts.filter(([, rows]) => rows > 0));
  }

  /** How often each key was inserted, by the value of a field: a record loaded twice shows here. */
  insertsPerKey(objectName: string, fieldName: string, expected: Iterable<string> = []): KeyCounts {
    const object = this.#store.model.get(objectName);
    const table = this.#store.table(object);
    const counts = new Map<string, number>();
    let inserts = 0;
    for (let serial = 0; serial < table.end; serial++) {
      const key = table.value(serial, fieldName);
      if (key) {
        inserts++;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    const repeated = [...counts].filter(([, count]) => count > 1);
    return {
      keys: counts.size,
      inserts,
      repeated: Object.fromEntries(repeated.slice(0, NAMED)),
      repeatedCount: repeated.length,
      missing: [...expected].filter((key) => !counts.has(key)),
    };
  }

  jobsByState(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const job of this.#jobs.visible()) {
      counts[job.state] = (counts[job.state] ?? 0) + 1;
    }
    return counts;
  }

  get openJobs(): number {
    return this.jobsByState().Open ?? 0;
  }

  /** The largest number of jobs that were InProgress at the same time. */
  get mostJobsInProgress(): number {
    return this.#jobs.mostInProgress;
  }

  /** Records that jobs have processed, failed ones included: in sink mode all that is known of them. */
  get recordsProcessed(): number {
    return this.#jobs.recordsProcessed;
  }

  summary(): Record<string, unknown> {
    return {
      requests: this.#requests,
      apiCalls: this.#apiCalls,
      requestCounts: this.requestCounts(),
      rows: this.rowsByObject(),
      jobs: this.jobsByState(),
      openJobs: this.openJobs,
      mostJobsInProgress: this.mostJobsInProgress,
      recordsProcessed: this.recordsProcessed,
    };
  }

  clear(): void {
    this.#ring.length = 0;
    this.#counts.clear();
    this.#requests = 0;
    this.#apiCalls = 0;
  }
}

function template(path: string): string {
  return path
    .replace(/\/v\d+\.\d+\//, '/vN/')
    .replace(/\/(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?(?=\/|$)/g, '/{id}')
    .replace(/(\/sobjects\/\w+\/\w+)\/[^/]+$/, '$1/{value}');
}
