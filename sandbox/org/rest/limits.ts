import type { Json } from '../json.ts';

export interface Usage {
  apiCalls: number;
  apiBudget: number;
  bulkBatches: number;
  records: number;
  storageLimit: number;
}

const DAILY_BATCHES = 15_000;
/** Most records cost 2 KB of data storage. */
const MB_PER_RECORD = 2 / 1024;

/** GET limits, the entries that a loader can care about. */
export function limits(usage: Usage): Json {
  const storage = Number.isFinite(usage.storageLimit)
    ? Math.ceil(usage.storageLimit * MB_PER_RECORD)
    : 10_000_000;
  return {
    ConcurrentAsyncGetReportInstances: full(200),
    DailyApiRequests: left(usage.apiBudget, usage.apiCalls),
    DailyAsyncApexExecutions: full(250_000),
    DailyBulkApiBatches: left(DAILY_BATCHES, usage.bulkBatches),
    DailyBulkV2QueryFileStorageMB: full(976_562),
    DailyBulkV2QueryJobs: full(10_000),
    DailyDurableStreamingApiEvents: full(10_000),
    DataStorageMB: left(storage, Math.ceil(usage.records * MB_PER_RECORD)),
    FileStorageMB: full(20),
    HourlyAsyncReportRuns: full(1200),
    SingleEmail: full(15),
  };
}

const full = (max: number): Json => left(max, 0);
const left = (max: number, used: number): Json => ({ Max: max, Remaining: Math.max(0, max - used) });
