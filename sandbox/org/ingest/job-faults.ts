import type { Job } from './job.ts';

/** A results file, by the last part of its path. */
export type ResultFile = 'successfulResults' | 'failedResults' | 'unprocessedrecords';

/**
 * - `fail`: Failed at once, nothing saved. `fail-half`: Failed after a part of the records.
 * - `stall`: InProgress without progress, until released. `stuck`: UploadComplete, until released.
 * - `abort`: aborted by somebody else after a part of the records.
 * - `vanish`: every call for the job answers 404 from a moment on.
 * - `results`: result files come empty (`status` 200) or as 204.
 */
export type JobFaultKind = 'fail' | 'fail-half' | 'stall' | 'stuck' | 'abort' | 'vanish' | 'results';

export interface JobFault {
  kind: JobFaultKind;
  /** Strikes the nth job made after the fault was added, counted over the jobs of `object`. Default 1. */
  nth?: number;
  /** Strikes this many jobs in a row. Default 1. */
  times?: number;
  object?: string;
  /** After how many records; default half of them. */
  afterRecords?: number;
  errorMessage?: string;
  /** When a job vanishes: at the close, half way, or once it is complete. Default half way. */
  when?: 'closed' | 'half' | 'complete';
  files?: readonly ResultFile[];
  status?: 200 | 204;
}

interface Entry {
  fault: JobFault;
  seen: number;
}

/** The faults that jobs will meet, and the jobs that met them. */
export class JobFaults {
  readonly #entries: Entry[] = [];
  readonly #struck = new Map<string, JobFault[]>();
  readonly #released = new Set<string>();
  #wake: () => void = () => undefined;

  add(fault: JobFault): void {
    this.#entries.push({ fault, seen: 0 });
  }

  /** Forgets all faults and lets go of the jobs that they hold. */
  clear(): void {
    this.#entries.length = 0;
    for (const id of this.#struck.keys()) {
      this.#released.add(id);
    }
    this.#struck.clear();
    this.#wake();
  }

  list(): JobFault[] {
    return this.#entries.map((entry) => entry.fault);
  }

  /** Lets a stalled or stuck job go on; all of them without an id. */
  release(jobId?: string): void {
    for (const id of jobId === undefined ? this.#struck.keys() : [jobId]) {
      this.#released.add(id);
    }
    this.#wake();
  }

  /** Called by the org for each new job: decides which faults it will meet. */
  assign(job: Job): void {
    for (const entry of this.#entries) {
      const { object, nth = 1, times = 1 } = entry.fault;
      if (object !== undefined && object !== job.object.name) {
        continue;
      }
      entry.seen++;
      if (entry.seen >= nth && entry.seen < nth + times) {
        this.#struck.set(job.id, [...(this.#struck.get(job.id) ?? []), entry.fault]);
      }
    }
  }

  /** The fault of this kind that the job is to meet, if it was not released from it. */
  find(job: Job, kind: JobFaultKind): JobFault | undefined {
    return this.#released.has(job.id)
      ? undefined
      : this.#struck.get(job.id)?.find((fault) => fault.kind === kind);
  }

  /** The fault that a result file of the job is to meet. */
  findForFile(job: Job, file: ResultFile): JobFault | undefined {
    return this.#struck
      .get(job.id)
      ?.find((fault) => fault.kind === 'results' && (fault.files ?? [file]).includes(file));
  }

  /** Called whenever a held job may go on. */
  onRelease(wake: () => void): void {
    this.#wake = wake;
  }
}

/**
 * The number of records after which a fault strikes: whole chunks, as progress moves in them, unless the job has less
 * than two chunks.
 */
export function strikesAfter(fault: JobFault, job: Job, chunk: number): number {
  const records = Math.floor(fault.afterRecords ?? (job.upload?.records ?? 0) / 2);
  return records < chunk ? records : Math.floor(records / chunk) * chunk;
}
