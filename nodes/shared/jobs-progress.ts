import type { Clock } from '../../src/clock.ts';
import type { Job } from '../../src/job.ts';
import { RateMeter } from './rate-meter.ts';
import { text } from './texts.ts';

/** How far the jobs are that a node watches: "3 jobs, 61 %, 4,200/s". */
export class JobsProgress {
  readonly #jobs = new Map<string, Job>();
  readonly #clock: Clock;
  #meter: RateMeter;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#meter = new RateMeter(clock, 'records');
  }

  see(job: Job): void {
    const before = this.#jobs.get(job.id)?.numberRecordsProcessed ?? 0;
    if (this.#jobs.size === 0) this.#meter = new RateMeter(this.#clock, 'records');
    this.#jobs.set(job.id, job);
    this.#meter.add(Math.max(0, job.numberRecordsProcessed - before));
  }

  forget(jobId: string): void {
    this.#jobs.delete(jobId);
  }

  get size(): number {
    return this.#jobs.size;
  }

  get text(): string {
    const parts = [text('count.jobs', { count: this.#jobs.size })];
    const [records, processed] = this.#sums();
    if (records > 0) parts.push(text('count.percent', { percent: Math.floor((processed * 100) / records) }));
    const rate = Math.round(this.#meter.perSecond);
    if (rate > 0) parts.push(text('count.perSecond', { rate }));
    return parts.join(', ');
  }

  #sums(): [records: number, processed: number] {
    let records = 0;
    let processed = 0;
    for (const job of this.#jobs.values()) {
      records += job.records;
      processed += job.numberRecordsProcessed;
    }
    return [records, processed];
  }
}
