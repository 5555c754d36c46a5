import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from './job.ts';
import { type Ending, JobWork, type WorkParts } from './job-work.ts';
import { Released } from './released.ts';

/** The server side of a job: queue, work, results, final state. */
export class Processor {
  readonly #parts: WorkParts;
  readonly #stop = new AbortController();
  readonly #work: JobWork;
  readonly #queue: Job[] = [];
  readonly #released = new Released(this.#stop.signal);
  readonly #running = new Map<Job, Promise<void>>();
  readonly #tasks = new Map<Job, Promise<void>>();

  constructor(parts: WorkParts) {
    this.#parts = parts;
    this.#work = new JobWork(parts, this.#released, this.#stop.signal);
    parts.faults.onRelease(() => this.wake());
  }

  /** Takes a job that has been closed. */
  enqueue(job: Job): void {
    const task = this.#enter(job).catch((error: unknown) => this.#crashed(job, error));
    this.#tasks.set(job, task);
    void task.finally(() => this.#tasks.delete(job));
  }

  /** Resolves when nothing more is written to the job's result files. */
  async settled(job: Job): Promise<void> {
    await this.#running.get(job);
  }

  /** Looks again at every job that waits for a release or an abort. */
  wake(): void {
    this.#released.lookAgain();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.wake();
    await Promise.all(this.#tasks.values());
  }

  /** A fault of the sandbox itself: the job shows it, as a real org shows an InternalServerError. */
  #crashed(job: Job, error: unknown): void {
    if (!this.#stop.signal.aborted && !job.isGone) {
      const message = error instanceof Error ? error.message : String(error);
      console.error(error);
      this.#finish(job, { state: 'Failed', errorMessage: `InternalServerError : ${message}` });
    }
  }

  async #enter(job: Job): Promise<void> {
    const { settings, faults } = this.#parts;
    if (settings.startDelayMs > 0) {
      await sleep(settings.startDelayMs, undefined, { signal: this.#stop.signal });
    }
    await this.#released.until(
      () => faults.find(job, 'stuck') === undefined || job.state !== 'UploadComplete',
    );
    if (faults.find(job, 'vanish')?.when === 'closed') {
      job.isGone = true;
    }
    this.#queue.push(job);
    await this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#running.size < this.#parts.settings.parallelJobs && !this.#stop.signal.aborted) {
      const job = this.#queue.shift();
      if (!job) {
        return;
      }
      if (job.state !== 'UploadComplete') {
        continue;
      }
      const run = this.#run(job);
      this.#running.set(job, run);
      try {
        await run;
      } catch (error) {
        this.#crashed(job, error);
      } finally {
        this.#running.delete(job);
        this.#parts.locks.release(job.id);
      }
    }
  }

  async #run(job: Job): Promise<void> {
    const { jobs } = this.#parts;
    jobs.move(job, 'InProgress');
    job.startedAt = performance.now();
    this.#finish(job, await this.#work.do(job));
  }

  #finish(job: Job, { state, errorMessage }: Ending): void {
    job.totalProcessingTime = Math.ceil(performance.now() - job.startedAt);
    if (state === undefined) {
      return;
    }
    job.errorMessage = errorMessage;
    this.#parts.jobs.move(job, state);
    job.isGone ||= this.#parts.faults.find(job, 'vanish')?.when === 'complete';
  }
}
