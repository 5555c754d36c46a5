import type { Fault, JobFault, Org, OrgOptions } from '../../sandbox/org/org.ts';
import { seededRandom } from '../../sandbox/org/random.ts';
import { until } from '../support/until.ts';
import type { Night, NightOptions } from './night.ts';
import type { NightWorld } from './night-world.ts';

/** One fault, and what becomes of a load that meets it. */
export interface FaultRow {
  fault: string;
  /** On requests and on jobs, from before the load is triggered. */
  requests?: Fault[];
  jobs?: JobFault[];
  /** Anything that happens while the load runs. */
  meanwhile?: (world: NightWorld, night: Night) => Promise<void> | void;
  night?: NightOptions;
  /** The org of this row has options of its own. */
  org?: OrgOptions;
  /** What a Catch node hears at the first trigger; default nothing. */
  codes?: string[];
  /** Rows that are READY still when the first load stands still, of ROWS; several: it depends. Default none. */
  ready?: number | readonly number[];
  /** What has to happen before the next trigger, where the load had to stop; default the fault ends. */
  heal?: (world: NightWorld, night: Night) => Promise<void> | void;
  /** What the next triggers hear; default LOAD_UNSETTLED once when the first load left something parked. */
  codesAfter?: string[];
  /** Empty jobs that may be left Open: those whose create had its answer lost. */
  openJobs?: number;
}

/** Three jobs; of each hundred rows two heal on retry, one of them only alone, and one fails for good. */
export const ROWS = 600;
export const ROWS_PER_JOB = 200;
/** How many a refused call leaves depends on how far the call beside it has come. */
const SOME_OF_A_JOB_TO_RETRY = [1, 2, 3, 4];
/** What a job of the rows holds, in bytes, about. */
const UPLOAD_BYTES = 6_000;
const RESULT_BYTES = 9_000;

export const CREATE = { method: 'POST', path: /\/jobs\/ingest\/?$/ };
export const UPLOAD = { method: 'PUT', path: /\/batches$/ };
export const CLOSE = { method: 'PATCH', path: /\/jobs\/ingest\/\w+$/ };
export const POLL = { method: 'GET', path: /\/jobs\/ingest\/\w+$/ };
export const RESULTS = { method: 'GET', path: /\/(?:successfulResults|failedResults|unprocessedrecords)$/ };
export const RETRY = { method: 'POST', path: /\/composite\/sobjects$/ };
/** One record alone. */
export const RETRY_ALONE = { method: 'POST', path: /\/sobjects\/Load_Test__c$/ };
export const TOKEN = { method: 'POST', path: /\/oauth2\/token$/ };

const ERROR = (errorCode: string, message: string) => [{ errorCode, message }];
const SESSION_EXPIRED = ERROR('INVALID_SESSION_ID', 'Session expired or invalid');
const DAILY = ERROR('REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.');
const CONCURRENT = ERROR(
  'REQUEST_LIMIT_EXCEEDED',
  'ConcurrentRequests (Concurrent API Requests) Limit exceeded.',
);
const HTML = '<html><head><title>Server Error</title></head><body>Down for maintenance</body></html>';
const UNAVAILABLE = { kind: 'status', status: 503, body: 'Service Unavailable' } as const;

/** Of real time, for sockets; so that nothing that hangs is waited for. */
const IMPATIENT: NightOptions = {
  session: { timeouts: { answerMs: 250, longAnswerMs: 350, silenceMs: 250 } },
};
/** Of the world's clock: an outage that does not pass is given up soon. */
const SHORT_OUTAGE: NightOptions = { session: { outageMs: 20_000 }, load: { outageMs: 5_000 } };

const endFaults = ({ org }: NightWorld): void => {
  org.faults.clear();
  org.jobFaults.clear();
};

const random = seededRandom(4);
random();
const someByte = (bytes: number) => Math.floor(random() * bytes);

const create: FaultRow[] = [
  { fault: '503', requests: [{ ...CREATE, ...UNAVAILABLE, times: 3 }], openJobs: 0 },
  { fault: 'reset before processing', requests: [{ ...CREATE, kind: 'drop-before', times: 2 }] },
  {
    fault: 'reset after processing',
    requests: [{ ...CREATE, kind: 'drop-after', times: 2 }],
    openJobs: 2,
  },
  { fault: 'hang', requests: [{ ...CREATE, kind: 'hang', times: 1 }], night: IMPATIENT },
  {
    fault: '503 for longer than an outage is waited for',
    requests: [{ ...CREATE, ...UNAVAILABLE, from: 2 }],
    night: SHORT_OUTAGE,
    codes: ['SF_REQUEST_FAILED'],
    ready: ROWS - ROWS_PER_JOB,
  },
  {
    fault: 'refused',
    requests: [
      { ...CREATE, kind: 'status', status: 400, body: ERROR('EXCEEDEDQUOTA', 'ExceededQuota'), nth: 2 },
    ],
    codes: ['SF_REQUEST_FAILED'],
    ready: ROWS - ROWS_PER_JOB,
  },
];

const upload: FaultRow[] = [
  { fault: '503', requests: [{ ...UPLOAD, ...UNAVAILABLE, times: 2 }] },
  { fault: 'reset at 0 %', requests: [{ ...UPLOAD, kind: 'cut-upload', bytes: 0, times: 1 }] },
  {
    fault: 'reset at 50 %',
    requests: [{ ...UPLOAD, kind: 'cut-upload', bytes: UPLOAD_BYTES / 2, times: 1 }],
  },
  { fault: 'reset at 100 %, the answer lost', requests: [{ ...UPLOAD, kind: 'drop-after', times: 2 }] },
  {
    fault: '401 half-way',
    requests: [
      {
        ...UPLOAD,
        kind: 'status',
        status: 401,
        body: SESSION_EXPIRED,
        bytes: UPLOAD_BYTES / 2,
        times: 1,
      },
    ],
  },
  { fault: 'hang', requests: [{ ...UPLOAD, kind: 'hang', times: 1 }], night: IMPATIENT },
  {
    fault: '1 KB/s',
    requests: [{ ...UPLOAD, kind: 'throttle', bytesPerSecond: 1024, times: 1 }],
    night: { load: { maxRecordsPerJob: 30 } },
  },
  {
    fault: '503 for longer than an outage is waited for',
    requests: [{ ...UPLOAD, ...UNAVAILABLE, from: 2 }],
    night: SHORT_OUTAGE,
    codes: ['SF_REQUEST_FAILED'],
    ready: ROWS - ROWS_PER_JOB,
  },
  {
    fault: 'refused',
    requests: [
      { ...UPLOAD, kind: 'status', status: 400, body: ERROR('CLIENTINPUTERROR', 'ClientInputError'), nth: 3 },
    ],
    codes: ['SF_REQUEST_FAILED'],
    ready: ROWS - 2 * ROWS_PER_JOB,
  },
];

const close: FaultRow[] = [
  { fault: '503', requests: [{ ...CLOSE, ...UNAVAILABLE, times: 3 }] },
  { fault: 'answer lost, not processed', requests: [{ ...CLOSE, kind: 'drop-before', times: 2 }] },
  { fault: 'answer lost, processed', requests: [{ ...CLOSE, kind: 'drop-after', times: 2 }] },
  { fault: 'hang', requests: [{ ...CLOSE, kind: 'hang', times: 1 }], night: IMPATIENT },
  {
    fault: '503 for longer than an outage is waited for',
    requests: [{ ...CLOSE, ...UNAVAILABLE, from: 2 }],
    night: SHORT_OUTAGE,
    codes: ['SF_REQUEST_FAILED'],
    ready: ROWS - ROWS_PER_JOB,
  },
  {
    fault: 'processed, and then Salesforce is away for longer than an outage is waited for',
    requests: [
      { ...CLOSE, kind: 'drop-after', nth: 3 },
      { ...POLL, ...UNAVAILABLE },
    ],
    night: { ...SHORT_OUTAGE, watch: { stallTimeoutMs: 0 } },
    codes: ['SF_REQUEST_FAILED', 'SF_REQUEST_FAILED', 'SF_REQUEST_FAILED'],
    ready: ROWS,
  },
];

const poll: FaultRow[] = [
  {
    fault: '503 for 60 s',
    requests: [{ ...POLL, ...UNAVAILABLE }],
    meanwhile: async ({ org, clock }) => {
      await until(() => org.audit.requests(POLL.path, POLL.method).length > 0, 'the first look is refused');
      await clock.sleep(60_000);
      org.faults.clear();
    },
  },
  {
    fault: 'a single 400',
    requests: [
      { ...POLL, kind: 'status', status: 400, body: ERROR('API_ERROR', 'Something went wrong'), times: 1 },
    ],
  },
  { fault: 'HTML with 500', requests: [{ ...POLL, kind: 'status', status: 500, body: HTML, times: 2 }] },
  { fault: 'HTML with 200', requests: [{ ...POLL, kind: 'status', status: 200, body: HTML, times: 2 }] },
  {
    fault: '403, the daily limit, which clears',
    requests: [{ ...POLL, kind: 'status', status: 403, body: DAILY, times: 3 }],
  },
  {
    fault: '403, the daily limit, which stays',
    requests: [{ ...POLL, kind: 'status', status: 403, body: DAILY }],
    night: { session: { limitWaitMs: 20_000 } },
    codes: ['SF_API_LIMIT', 'SF_API_LIMIT', 'SF_API_LIMIT'],
    ready: ROWS,
  },
  {
    fault: '403, the concurrent limit',
    requests: [{ ...POLL, kind: 'status', status: 403, body: CONCURRENT, times: 4 }],
  },
  {
    fault: '404 that passes',
    requests: [
      {
        ...POLL,
        kind: 'status',
        status: 404,
        body: ERROR('NOT_FOUND', 'The requested resource does not exist'),
        times: 1,
      },
    ],
    codes: ['BULK_JOB_GONE'],
    ready: ROWS_PER_JOB,
  },
  { fault: 'hang', requests: [{ ...POLL, kind: 'hang', times: 2 }], night: IMPATIENT },
  { fault: 'broken answer', requests: [{ ...POLL, kind: 'cut', bytes: 40, times: 2 }] },
  { fault: 'answer cut short', requests: [{ ...POLL, kind: 'end-early', bytes: 40, times: 2 }] },
  {
    fault: '503 for longer than an outage is waited for',
    requests: [{ ...POLL, ...UNAVAILABLE }],
    night: SHORT_OUTAGE,
    codes: ['SF_REQUEST_FAILED', 'SF_REQUEST_FAILED', 'SF_REQUEST_FAILED'],
    ready: ROWS,
  },
];

const results: FaultRow[] = [
  ...Array.from({ length: 10 }, (): FaultRow => {
    const [success, failed] = [someByte(RESULT_BYTES), someByte(RESULT_BYTES / 30)];
    return {
      fault: `cut after ${success} and ${failed} bytes`,
      requests: [
        { method: 'GET', path: /successfulResults$/, kind: 'cut', bytes: success, times: 2 },
        { method: 'GET', path: /failedResults$/, kind: 'cut', bytes: failed, times: 1 },
      ],
    };
  }),
  ...Array.from({ length: 10 }, (): FaultRow => {
    const [success, failed] = [someByte(RESULT_BYTES), someByte(RESULT_BYTES / 30)];
    return {
      fault: `ended cleanly after ${success} and ${failed} bytes`,
      requests: [
        { method: 'GET', path: /successfulResults$/, kind: 'end-early', bytes: success, times: 2 },
        { method: 'GET', path: /failedResults$/, kind: 'end-early', bytes: failed, times: 1 },
      ],
    };
  }),
  { fault: '503', requests: [{ ...RESULTS, ...UNAVAILABLE, times: 4 }] },
  { fault: 'HTML with 200', requests: [{ ...RESULTS, kind: 'status', status: 200, body: HTML, times: 2 }] },
  {
    fault: 'silence in the middle',
    requests: [{ ...RESULTS, kind: 'throttle', direction: 'down', bytesPerSecond: 1, times: 2 }],
    night: IMPATIENT,
  },
  ...([204, 200] as const).flatMap((status): FaultRow[] => [
    {
      fault: `${status === 204 ? '204' : 'empty'} for a while`,
      jobs: [{ kind: 'results', status, files: ['successfulResults', 'failedResults'] }],
      meanwhile: async ({ org, clock }) => {
        await clock.sleep(30_000);
        org.jobFaults.clear();
      },
    },
    {
      fault: `${status === 204 ? '204' : 'empty'} for good`,
      jobs: [{ kind: 'results', status, files: ['successfulResults'] }],
      codes: ['RESULTS_INCOMPLETE'],
      ready: ROWS_PER_JOB,
    },
    {
      fault: `${status === 204 ? '204' : 'empty'} where there are no rows`,
      jobs: [{ kind: 'results', status, times: 3, files: ['unprocessedrecords'] }],
    },
  ]),
];

const job: FaultRow[] = [
  { fault: 'Failed half-way', jobs: [{ kind: 'fail-half' }], ready: ROWS_PER_JOB / 2 },
  {
    fault: 'Failed at once, for a bad column',
    jobs: [{ kind: 'fail', errorMessage: 'InvalidBatch : Field name not found : Nickname__c' }],
    ready: ROWS_PER_JOB,
  },
  {
    fault: 'a column that the object does not have',
    night: { extraColumn: 'Nickname__c' },
    codes: ['CONFIG_INVALID'],
    ready: ROWS,
    heal: (_, night) => night.leaveOutExtraColumn(),
  },
  { fault: 'Aborted by someone', jobs: [{ kind: 'abort', nth: 2 }], ready: ROWS_PER_JOB / 2 },
  {
    fault: 'stalled',
    jobs: [{ kind: 'stall' }],
    night: { watch: { stallTimeoutMs: 60_000 } },
    codes: ['BULK_JOB_STALLED'],
    ready: ROWS_PER_JOB,
  },
  {
    fault: 'stuck in UploadComplete',
    jobs: [{ kind: 'stuck' }],
    night: { watch: { stallTimeoutMs: 60_000 } },
    codes: ['BULK_JOB_STALLED'],
    ready: ROWS_PER_JOB,
  },
  {
    fault: 'slower than the time-out',
    jobs: [{ kind: 'stall', times: 3 }],
    night: { watch: { timeoutMs: 40_000 } },
    codes: ['BULK_JOB_TIMEOUT', 'BULK_JOB_TIMEOUT', 'BULK_JOB_TIMEOUT'],
    ready: ROWS,
  },
  {
    fault: 'stalled, and let go in time',
    jobs: [{ kind: 'stall', times: 3 }],
    meanwhile: async ({ org, clock }) => {
      // A job that is made after the release is not let go by it.
      await until(() => org.audit.requests(CREATE.path, CREATE.method).length === 3, 'the jobs are made');
      await clock.sleep(40_000);
      org.jobFaults.release();
    },
  },
  {
    fault: 'Failed half-way in a serial load',
    jobs: [{ kind: 'fail-half' }],
    night: { load: { mode: 'serial' } },
    ready: ROWS_PER_JOB / 2,
  },
];

const token: FaultRow[] = [
  { fault: 'expires every 20 requests', org: { requestsPerToken: 20 } },
  { fault: 'expires every 3 requests', org: { requestsPerToken: 3 } },
  {
    fault: 'token endpoint down for a while, when the token has expired',
    requests: [{ ...TOKEN, ...UNAVAILABLE, from: 2, to: 5 }],
    org: { requestsPerToken: 12 },
  },
  {
    fault: 'token endpoint down when the load begins',
    requests: [{ ...TOKEN, kind: 'drop-before', times: 3 }],
  },
  {
    fault: 'token endpoint down for longer than an outage is waited for',
    requests: [{ ...TOKEN, ...UNAVAILABLE, from: 2 }],
    org: { requestsPerToken: 6 },
    night: SHORT_OUTAGE,
    // The upload under way and the poll of the job before.
    codes: ['SF_REQUEST_FAILED', 'SF_REQUEST_FAILED'],
    ready: ROWS,
    // Nobody could abort it either.
    openJobs: 1,
  },
  {
    fault: 'refresh tokens that rotate',
    org: { requestsPerToken: 9, rotateRefreshTokens: true },
    night: { refreshToken: true },
  },
  {
    fault: 'all sessions ended by an administrator, again and again',
    meanwhile: async ({ org, clock }) => {
      // A session that ends before its first use looks like an app that is shut out, and is told as that.
      const used = () => org.audit.requests(/\/services\/data\//).filter(({ status }) => status < 300).length;
      for (let times = 0, before = 0; times < 6; times += 1) {
        await clock.sleep(5000);
        if (used() > before) org.expireTokens();
        before = used();
      }
    },
  },
];

/** In each of these the record may be in the org or not, and the answer does not tell. */
const lostAnswers = (call: Pick<Fault, 'method' | 'path'>): FaultRow[] => [
  { fault: '503', requests: [{ ...call, ...UNAVAILABLE, times: 2 }] },
  { fault: 'reset before processing', requests: [{ ...call, kind: 'drop-before', times: 2 }] },
  { fault: 'answer lost', requests: [{ ...call, kind: 'drop-after', times: 2 }] },
  { fault: 'answer cut', requests: [{ ...call, kind: 'cut', bytes: 30, times: 2 }] },
  { fault: 'answer cut short', requests: [{ ...call, kind: 'end-early', bytes: 30, times: 2 }] },
  { fault: 'empty answer', requests: [{ ...call, kind: 'end-early', bytes: 0, times: 2 }] },
  { fault: 'HTML with 200', requests: [{ ...call, kind: 'status', status: 200, body: HTML, times: 2 }] },
  { fault: 'hang', requests: [{ ...call, kind: 'hang', times: 1 }], night: IMPATIENT },
  { fault: 'answer too late', requests: [{ ...call, kind: 'delay', ms: 500, times: 2 }], night: IMPATIENT },
];

const retry: FaultRow[] = [
  ...lostAnswers(RETRY),
  {
    fault: 'refused to the user in the middle: what is stored is known when the rest is sent',
    requests: [
      { ...RETRY, kind: 'status', status: 403, body: ERROR('API_DISABLED_FOR_ORG', 'not enabled'), nth: 2 },
    ],
    codes: ['SF_REQUEST_FAILED'],
    ready: SOME_OF_A_JOB_TO_RETRY,
  },
];
const retryAlone: FaultRow[] = [
  ...lostAnswers(RETRY_ALONE),
  {
    fault: 'refused to the user in the middle: what is stored is known when the rest is sent',
    requests: [
      {
        ...{ ...RETRY_ALONE, kind: 'status', status: 403, nth: 3 },
        body: ERROR('API_DISABLED_FOR_ORG', 'not enabled'),
      },
    ],
    codes: ['SF_REQUEST_FAILED'],
    ready: SOME_OF_A_JOB_TO_RETRY,
  },
];

export const FAULTS: Record<string, FaultRow[]> = {
  create,
  upload,
  close,
  poll,
  results,
  job,
  token,
  retry,
  retryAlone,
};

export function strike(org: Org, { requests = [], jobs = [] }: FaultRow): void {
  for (const fault of requests) org.faults.add(fault);
  for (const fault of jobs) org.jobFaults.add(fault);
}

export async function heal(row: FaultRow, world: NightWorld, night: Night): Promise<void> {
  endFaults(world);
  await row.heal?.(world, night);
}
