import { EventEmitter } from 'node:events';
import type { Job } from '../job.ts';
import type { Receipt } from '../receipt.ts';

/** What happens to closed jobs, told from whatever node it happens in to the load that made them. */
export interface JobEventMap {
  /** Every record is accounted for. */
  settled: [job: Job, receipt: Receipt];
  /** Stopped short of settled. `again`: whoever stopped it was redeployed, so it is to be sent again at once. */
  parked: [jobId: string, again: boolean];
}

export type JobEvents = EventEmitter<JobEventMap>;

export function createJobEvents(): JobEvents {
  return new EventEmitter<JobEventMap>().setMaxListeners(0);
}
