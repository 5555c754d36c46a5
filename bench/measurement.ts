/** What one run of one path took. */
export interface Measurement {
  seconds: number;
  /** From the start to the last close of a job: extraction and upload. */
  toUploadComplete: number;
  /** From there to the look that found the last job complete: the org's work, and the poll's delay. */
  processing: number;
  /** From there to the end: results, and for our flow what is behind them. */
  results: number;
  /** From the create of the first job to the end. */
  loadOnly: number;
  /** Of the process that loads, in bytes. */
  peak: number;
  /** The same before the load, where it is known. */
  idle: number | undefined;
  succeeded: number;
  failed: number;
}

/** What a path knows of its own run; times in milliseconds since 1970. */
export interface Run {
  began: number;
  ended: number;
  peak: number;
  idle?: number;
  succeeded: number;
  failed: number;
}

/** One request as the org saw it. */
export interface Request {
  at: number;
  ms: number;
  method: string;
  path: string;
}

/** The stages as the org saw them, by the same rule for every path. */
export function measured(
  { began, ended, peak, idle, succeeded, failed }: Run,
  requests: Request[],
): Measurement {
  const created = requests.find(isCreate)?.at ?? began;
  const closed = lastEnd(requests.filter(({ method }) => method === 'PATCH'));
  const complete = lastEnd(requests.filter(isLook));
  return {
    seconds: (ended - began) / 1000,
    toUploadComplete: (closed - began) / 1000,
    processing: (complete - closed) / 1000,
    results: (ended - complete) / 1000,
    loadOnly: (ended - created) / 1000,
    peak,
    idle,
    succeeded,
    failed,
  };
}

function isCreate({ method, path }: Request): boolean {
  return method === 'POST' && path.endsWith('/jobs/ingest');
}

function isLook({ method, path }: Request): boolean {
  return method === 'GET' && /\/jobs\/ingest\/\w+$/.test(path);
}

function lastEnd(requests: Request[]): number {
  return Math.max(...requests.map(({ at, ms }) => at + ms));
}

/** Of each field on its own. */
export function medians(runs: Measurement[]): Measurement {
  const of = (field: (run: Measurement) => number) => median(runs.map(field));
  return {
    seconds: of((run) => run.seconds),
    toUploadComplete: of((run) => run.toUploadComplete),
    processing: of((run) => run.processing),
    results: of((run) => run.results),
    loadOnly: of((run) => run.loadOnly),
    peak: of((run) => run.peak),
    idle: runs[0]?.idle === undefined ? undefined : of((run) => run.idle ?? 0),
    succeeded: of((run) => run.succeeded),
    failed: of((run) => run.failed),
  };
}

/** Seconds that one path took more than the other, run by run: what else the machine did then met both. */
export interface Difference {
  mean: number;
  standardError: number;
  median: number;
}

export function difference(runs: Measurement[], others: Measurement[]): Difference {
  const each = runs.map(({ seconds }, run) => seconds - (others[run]?.seconds ?? Number.NaN));
  const mean = sum(each) / each.length;
  const variance = sum(each.map((value) => (value - mean) ** 2)) / (each.length - 1);
  return { mean, standardError: Math.sqrt(variance / each.length), median: median(each) };
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}
