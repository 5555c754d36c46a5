import type { LedgerJob } from '../database/ledger/job-ledger.ts';
import type { Job } from '../job.ts';
import type { Receipt } from '../receipt.ts';

/** What became of a closed job, as its run sees it. */
type JobEnd = { job: Job; receipt: Receipt | undefined };

/** The closed jobs of one run: which of them are settled, and which stand still until somebody carries them on. */
export class RunJobs {
  readonly #jobs = new Map<string, JobEnd>();
  readonly #parked = new Set<string>();
  #nextIndex = 0;

  /** Records in closed jobs. */
  get uploaded(): number {
    let uploaded = 0;
    for (const { job } of this.#jobs.values()) uploaded += job.records;
    return uploaded;
  }

  /** Neither settled nor abandoned. */
  get unsettled(): Job[] {
    return [...this.#jobs.values()].filter(({ receipt }) => !receipt).map(({ job }) => job);
  }

  /** Some are left, and nothing goes on with any of them. */
  get areStopped(): boolean {
    const { unsettled } = this;
    return unsettled.length > 0 && unsettled.every(({ id }) => this.#parked.has(id));
  }

  get receipts(): Receipt[] {
    return [...this.#jobs.values()].flatMap(({ receipt }) => receipt ?? []);
  }

  /** The place of the next job in its run. */
  takeIndex(): number {
    this.#nextIndex += 1;
    return this.#nextIndex - 1;
  }

  /** Takes over a job of an earlier process. */
  adopt({ job, receipt, parkedReason }: LedgerJob): void {
    this.#jobs.set(job.id, { job, receipt: receipt ?? undefined });
    if (parkedReason !== null && !receipt) this.#parked.add(job.id);
    this.#nextIndex = Math.max(this.#nextIndex, job.index + 1);
  }

  /** From the point of no return on a job counts as closed; until its close is confirmed it is parked. */
  closing(job: Job): void {
    this.#jobs.set(job.id, { job, receipt: undefined });
    this.#parked.add(job.id);
  }

  closed(job: Job): void {
    this.#jobs.set(job.id, { job, receipt: this.#jobs.get(job.id)?.receipt });
    this.#parked.delete(job.id);
  }

  park(jobId: string): void {
    if (this.#jobs.has(jobId)) this.#parked.add(jobId);
  }

  unpark(jobId: string): void {
    this.#parked.delete(jobId);
  }

  /** False when it is none of this run's, or was settled before. */
  settle(job: Job, receipt: Receipt): boolean {
    const known = this.#jobs.get(job.id);
    if (!known || known.receipt) return false;
    this.#jobs.set(job.id, { job, receipt });
    this.#parked.delete(job.id);
    return true;
  }
}
