import type { Job } from '../job.ts';
import type { Receipt } from '../receipt.ts';
import type { SalesforceConnection } from './connection.ts';
import type { Mapping, NullHandling } from './job-files.ts';

export type LoadMode = 'parallel' | 'serial';

export interface LoadOptions {
  connection: SalesforceConnection;
  /** The load's name in the ledger. */
  loadName: string;
  mode: LoadMode;
  mapping: Mapping[];
  nulls: NullHandling;
  /** 0 = no limit. */
  maxRecordsPerJob: number;
  maxBytesPerJob: number;
  /** Scratch files that may exist at once, the one being written included. */
  maxFiles: number;
  outageMs: number;
  /** A closed job's message is to go out, with what the run's first message carried. */
  onJob: (job: Job, carried: Record<string, unknown>) => void;
  onReceipt: (receipt: Receipt, carried: Record<string, unknown>) => void;
  /** False while flows are being deployed: a message sent then may reach nobody. `start` is called when they are up. */
  canSend: () => boolean;
}
