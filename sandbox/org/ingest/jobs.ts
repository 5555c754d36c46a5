import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeId, normaliseId } from '../ids.ts';
import type { Settings } from '../options.ts';
import { FINAL_STATES, type Job, type JobState } from './job.ts';
import type { JobFaults } from './job-faults.ts';

const KEY_PREFIX = '750';

/** A real org removes finished jobs and their results after 7 days. */
const KEPT_MS = 7 * 24 * 3600 * 1000;

type NewJob = Pick<
  Job,
  | 'object'
  | 'operation'
  | 'externalIdField'
  | 'externalIdFieldName'
  | 'lineEnding'
  | 'columnDelimiter'
  | 'assignmentRuleId'
  | 'apiVersion'
  | 'createdById'
  | 'isMultipart'
>;

/** All ingest jobs of the org, and where their files are. */
export class Jobs {
  readonly #settings: Settings;
  readonly #faults: JobFaults;
  readonly #directory: string;
  readonly #byId = new Map<string, Job>();
  #count = 0;
  #mostInProgress = 0;
  #processedByDeleted = 0;

  constructor(settings: Settings, faults: JobFaults, directory: string) {
    this.#settings = settings;
    this.#faults = faults;
    this.#directory = directory;
  }

  create(wanted: NewJob): Job {
    this.#count++;
    const now = this.#settings.now();
    const job: Job = {
      ...wanted,
      id: makeId(KEY_PREFIX, this.#count),
      number: this.#count,
      createdAt: now,
      modifiedAt: now,
      state: 'Open',
      isUploading: false,
      upload: undefined,
      processed: 0,
      failed: 0,
      retries: 0,
      startedAt: 0,
      totalProcessingTime: 0,
      apiActiveProcessingTime: 0,
      apexProcessingTime: 0,
      errorMessage: undefined,
      isGone: false,
    };
    this.#byId.set(job.id, job);
    this.#faults.assign(job);
    return job;
  }

  /** The job with this id of 15 or 18 characters, or undefined when it never was, was deleted, or is past its time. */
  find(id: string): Job | undefined {
    const job = this.#byId.get(normaliseId(id) ?? '');
    const isPast = job && FINAL_STATES.has(job.state) && this.#settings.now() - job.modifiedAt > KEPT_MS;
    return job?.isGone || isPast ? undefined : job;
  }

  all(): Job[] {
    return [...this.#byId.values()];
  }

  /** Jobs that can still be found. */
  visible(): Job[] {
    return this.all().filter((job) => this.find(job.id) !== undefined);
  }

  move(job: Job, state: JobState): void {
    job.state = state;
    job.modifiedAt = this.#settings.now();
    const inProgress = this.all().filter((each) => each.state === 'InProgress').length;
    this.#mostInProgress = Math.max(this.#mostInProgress, inProgress);
    if (FINAL_STATES.has(state)) {
      this.#prune();
    }
  }

  /** Keeps the disk from filling over many loads: the oldest finished jobs go first, never the last one. */
  #prune(): void {
    const finished = this.all().filter((job) => FINAL_STATES.has(job.state) && job.upload !== undefined);
    let bytes = finished.reduce((sum, job) => sum + (job.upload?.bytes ?? 0), 0);
    for (const job of finished.slice(0, -1)) {
      if (bytes <= this.#settings.keepUploadBytes) {
        return;
      }
      bytes -= job.upload?.bytes ?? 0;
      job.isGone = true;
      void this.delete(job);
    }
  }

  /** Records that jobs have processed since the start, failed ones and deleted jobs included. */
  get recordsProcessed(): number {
    return this.all().reduce((sum, job) => sum + job.processed, this.#processedByDeleted);
  }

  /** Internal batches of the day: one for each 10,000 records. */
  batches(batchRecords: number): number {
    return this.all().reduce((sum, job) => sum + Math.ceil((job.upload?.records ?? 0) / batchRecords), 0);
  }

  /** The largest number of jobs that ever were InProgress at the same time. */
  get mostInProgress(): number {
    return this.#mostInProgress;
  }

  file(job: Job, kind: 'upload' | 'success' | 'failed'): string {
    return join(this.#directory, `${job.id}.${kind}.csv`);
  }

  async delete(job: Job): Promise<void> {
    this.#byId.delete(job.id);
    this.#processedByDeleted += job.processed;
    for (const kind of ['upload', 'success', 'failed'] as const) {
      await rm(this.file(job, kind), { force: true });
    }
  }

  async clear(): Promise<void> {
    for (const job of this.all()) {
      job.isGone = true;
      await this.delete(job);
    }
    this.#mostInProgress = 0;
    this.#processedByDeleted = 0;
  }
}
