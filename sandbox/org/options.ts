import { tmpdir } from 'node:os';
import type { EmbeddedBreaks } from './csv/dialect.ts';

/** The credentials that the org accepts, and the PEM of the key that it trusts. */
export interface Credentials {
  clientId: string;
  clientSecret: string;
  username: string;
  password: string;
  securityToken: string;
  refreshToken: string;
}

/** A refusal that is chosen by the user of the sandbox where no recording says what a real org answers. */
export interface ChosenRefusal {
  status: number;
  errorCode: string;
  message: string;
}

export interface OrgOptions {
  /** 0 (default) takes a free port of 127.0.0.1. */
  port?: number;
  /** Where uploads and results are kept; default a new directory below the system's temporary one, removed by close(). */
  dataDir?: string;
  seed?: number;
  /** Only count records: no store, results made up from the uploaded file. */
  sink?: { failPercent?: number };
  /** Records per second and job. Default: as fast as the machine. */
  recordsPerSecond?: number;
  /** From UploadComplete to InProgress, in ms. */
  startDelayMs?: number;
  /** API calls a day; default 15,000,000. */
  apiBudget?: number;
  clients?: Partial<Credentials>;
  /** PEM of the public key or certificate that JWT assertions are checked against; default a key pair of the org's own. */
  jwtPublicKey?: string;
  /** Why a login is refused, by flow. */
  refuseLogin?:
    | 'not-approved'
    | 'not-admin-approved'
    | 'no-client-credentials-user'
    | 'authentication-failure';
  /** Each refresh gives a new refresh token, and the old one dies. */
  rotateRefreshTokens?: boolean;
  /** An access token dies after this many requests. */
  requestsPerToken?: number;
  /** Longest life of a JWT assertion in seconds. */
  jwtMaxLife?: number;
  /** TLS: the org speaks https with this key and certificate (PEM). */
  tls?: { key: string; cert: string };
  /** The org's clock, ms since 1970. */
  now?: () => number;
  /** Records that fit the org's data storage. */
  storageLimit?: number;
  /** Jobs worked on at the same time. */
  parallelJobs?: number;
  /** Internal batches of one job worked on at the same time. */
  parallelBatches?: number;
  /** Share of row-lock collisions that end in UNABLE_TO_LOCK_ROW. */
  lockFailureRate?: number;
  /** Records per internal batch. A real org has 10,000; smaller ones make tests of locks quick. */
  batchRecords?: number;
  /** The user has "Bulk API Hard Delete". */
  hardDelete?: boolean;
  /** Largest upload in raw bytes. */
  maxUploadBytes?: number;
  /** Uploads of finished jobs kept on disk, in bytes; beyond it the oldest finished jobs go, as after 7 days. */
  keepUploadBytes?: number;
  /** Results go gzipped to clients that accept it. Default: true, in sink mode false. */
  gzip?: boolean;
  /** Records of a result file are shuffled within windows of this many; 1 keeps the upload's order. */
  shuffleWindow?: number;
  /** Requests kept for the audit. */
  auditRing?: number;

  // Open questions of the reference, §10: nothing recorded says what a real org does.
  secondPut?: 'refuse' | 'replace' | 'append';
  putRefusal?: Partial<ChosenRefusal>;
  earlyResults?: Partial<ChosenRefusal>;
  embeddedBreaks?: EmbeddedBreaks;
  gzipUpload?: boolean;
  resultLineEnding?: 'LF' | 'job';
  faultJoiner?: string;
  echoHeaderQuotes?: boolean;
  emptyUpload?: 'JobComplete' | 'Failed';
  /** Known issue: failedResults give an empty value for a column whose capitals differ from the API name's. */
  emptyEchoOnCaseMismatch?: boolean;
  /** A value of the wrong type in a Collections call fails its record, or the whole call. */
  collectionsBadValue?: 'record' | 'call';
}

export type Settings = Required<
  Omit<OrgOptions, 'sink' | 'tls' | 'refuseLogin' | 'jwtPublicKey' | 'requestsPerToken'>
> & {
  sink: { failPercent: number } | undefined;
  tls: { key: string; cert: string } | undefined;
  refuseLogin: OrgOptions['refuseLogin'];
  jwtPublicKey: string | undefined;
  requestsPerToken: number;
  clients: Credentials;
  secondPut: 'refuse' | 'replace' | 'append';
  putRefusal: ChosenRefusal;
  earlyResults: ChosenRefusal;
};

export const DEFAULT_CREDENTIALS: Credentials = {
  clientId: 'sandbox-client',
  clientSecret: 'sandbox-secret',
  username: 'load@example.com',
  password: 'sandbox-password',
  securityToken: 'sandbox-token',
  refreshToken: 'sandbox-refresh-token',
};

/** 150 MB after base64 (reference §3): 4 characters for 3 bytes leave 112.5 MB of raw CSV. */
const MAX_UPLOAD = 112_500_000;

export function settingsOf(options: OrgOptions): Settings {
  const { sink, clients, putRefusal, earlyResults, ...rest } = options;
  return {
    port: 0,
    dataDir: tmpdir(),
    seed: 1,
    recordsPerSecond: Number.POSITIVE_INFINITY,
    startDelayMs: 0,
    apiBudget: 15_000_000,
    rotateRefreshTokens: false,
    requestsPerToken: Number.POSITIVE_INFINITY,
    jwtMaxLife: 300,
    now: Date.now,
    storageLimit: Number.POSITIVE_INFINITY,
    parallelJobs: 10,
    parallelBatches: 4,
    lockFailureRate: 0.25,
    batchRecords: 10_000,
    hardDelete: true,
    maxUploadBytes: MAX_UPLOAD,
    keepUploadBytes: 4_000_000_000,
    gzip: sink === undefined,
    shuffleWindow: 1000,
    auditRing: 10_000,
    secondPut: 'refuse',
    embeddedBreaks: 'declared',
    gzipUpload: false,
    resultLineEnding: 'LF',
    faultJoiner: ';',
    echoHeaderQuotes: true,
    emptyUpload: 'JobComplete',
    emptyEchoOnCaseMismatch: false,
    collectionsBadValue: 'record',
    tls: undefined,
    refuseLogin: undefined,
    jwtPublicKey: undefined,
    ...rest,
    sink: sink && { failPercent: sink.failPercent ?? 0 },
    clients: { ...DEFAULT_CREDENTIALS, ...clients },
    putRefusal: {
      status: 400,
      errorCode: 'INVALIDJOBSTATE',
      message: 'Uploading data to a job that is not Open, or that has data, is not allowed',
      ...putRefusal,
    },
    earlyResults: {
      status: 400,
      errorCode: 'INVALIDJOBSTATE',
      message: 'Results are available when the job is in a final state',
      ...earlyResults,
    },
  };
}
