import type { Fault, JobFault, Org } from '../../sandbox/org/org.ts';
import { type Random, seededRandom } from '../../sandbox/org/random.ts';
import { CLOSE, CREATE, POLL, RESULTS, TOKEN, UPLOAD } from './fault-rows.ts';

/** What happens to the requests and jobs of one load, drawn beforehand: the same for the same seed. */
export interface HttpPlan {
  seed: number;
  requests: Fault[];
  jobs: JobFault[];
  /** Milliseconds of the world's clock after which an administrator ends all sessions. */
  sessionsEndAt: number[];
  recordsPerJob: number;
}

export interface PlanOptions {
  rows: number;
  /** Of a request, and of a job, to be struck. */
  probability: number;
}

/** More than one load makes of any kind. */
const MOST_REQUESTS = 400;
const MOST_JOBS = 60;
const SESSION_MS = 15_000;
/** Of an uploaded row and of its results, about. */
const ROW_BYTES = 45;

type DrawFault = (random: Random, options: { jobBytes: number }) => Omit<Fault, 'method' | 'path' | 'nth'>;

const ERROR = (errorCode: string, message: string) => [{ errorCode, message }];
const HTML = '<html><body>Down for maintenance</body></html>';
const status = (code: number, body: unknown = 'Service Unavailable'): DrawFault => {
  return () => ({ kind: 'status', status: code, body });
};

/** What can befall any request. */
const ANY: DrawFault[] = [
  () => ({ kind: 'drop-before' }),
  () => ({ kind: 'drop-before' }),
  () => ({ kind: 'drop-after' }),
  () => ({ kind: 'drop-after' }),
  status(503),
  status(500, HTML),
  status(502),
  status(429),
  status(408),
  status(401, ERROR('INVALID_SESSION_ID', 'Session expired or invalid')),
  status(403, ERROR('REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.')),
  status(403, ERROR('REQUEST_LIMIT_EXCEEDED', 'ConcurrentRequests Limit exceeded.')),
  status(200, HTML),
  () => ({ kind: 'hang' }),
  (random) => ({ kind: 'delay', ms: between(random, 1, 150) }),
  // Processed, and answered when nobody waits for it any more (the time-outs of http-run.ts).
  (random) => ({ kind: 'delay', ms: between(random, 1000, 1300) }),
  (random) => ({ kind: 'cut', bytes: between(random, 0, 200) }),
  (random) => ({ kind: 'end-early', bytes: between(random, 0, 200) }),
];
const UPLOADS: DrawFault[] = [
  (random, { jobBytes }) => ({ kind: 'cut-upload', bytes: between(random, 0, jobBytes) }),
  (random, { jobBytes }) => ({
    kind: 'status',
    status: 401,
    body: ERROR('INVALID_SESSION_ID', 'Session expired or invalid'),
    bytes: between(random, 0, jobBytes),
  }),
  (random, { jobBytes }) => ({
    kind: 'status',
    status: 503,
    body: 'Service Unavailable',
    bytes: between(random, 0, jobBytes),
  }),
];
const DOWNLOADS: DrawFault[] = [
  (random, { jobBytes }) => ({ kind: 'cut', bytes: between(random, 0, jobBytes) }),
  (random, { jobBytes }) => ({ kind: 'end-early', bytes: between(random, 0, jobBytes) }),
];

/** Requests by kind, with what can befall them. A login has no 401, and no limits. */
const KINDS: { target: Pick<Fault, 'method' | 'path'>; faults: DrawFault[] }[] = [
  { target: CREATE, faults: ANY },
  { target: UPLOAD, faults: [...ANY, ...UPLOADS, ...UPLOADS] },
  { target: CLOSE, faults: ANY },
  { target: POLL, faults: [...ANY, status(400, ERROR('API_ERROR', 'Something went wrong'))] },
  { target: RESULTS, faults: [...ANY, ...DOWNLOADS, ...DOWNLOADS, ...DOWNLOADS] },
  { target: { method: 'POST', path: /\/sobjects(?:\/Load_Test__c)?$/ }, faults: ANY },
  { target: { method: 'GET', path: /\/(?:query|describe)/ }, faults: ANY },
  {
    target: TOKEN,
    faults: [() => ({ kind: 'drop-before' }), () => ({ kind: 'drop-after' }), status(503), status(500, HTML)],
  },
];

const JOB_FAULTS: ((random: Random) => JobFault)[] = [
  () => ({ kind: 'fail', errorMessage: 'InternalServerError : Retried more than 15 times' }),
  () => ({ kind: 'fail-half' }),
  () => ({ kind: 'abort' }),
  () => ({ kind: 'stall' }),
  () => ({ kind: 'stuck' }),
  (random) => ({ kind: 'results', status: random() < 0.5 ? 200 : 204 }),
];

export function planOf(seed: number, { rows, probability }: PlanOptions): HttpPlan {
  const random = seededRandom(seed * 7919 + 17);
  random();
  const recordsPerJob = between(random, Math.ceil(rows / 9), Math.ceil(rows / 3));
  const jobBytes = recordsPerJob * ROW_BYTES;
  const struck = (most: number) =>
    Array.from({ length: most }, (_, index) => index + 1).filter(() => random() < probability);
  return {
    seed,
    recordsPerJob,
    requests: KINDS.flatMap(({ target, faults }) =>
      struck(MOST_REQUESTS).map((nth) => ({
        ...target,
        ...oneOf(random, faults)(random, { jobBytes }),
        nth,
      })),
    ),
    jobs: struck(MOST_JOBS).map((nth) => ({ ...oneOf(random, JOB_FAULTS)(random), nth })),
    // Far enough apart for a new token to be used: one that is refused at once is taken for an app that is shut out.
    sessionsEndAt: struck(MOST_JOBS).map((nth) => nth * SESSION_MS),
  };
}

export function strike(org: Org, { requests, jobs }: HttpPlan): void {
  for (const fault of requests) org.faults.add(fault);
  for (const fault of jobs) org.jobFaults.add(fault);
}

function between(random: Random, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

function oneOf<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}
