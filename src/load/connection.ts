import type { Clock } from '../clock.ts';
import {
  type ClaimState,
  isUnsettled,
  type JobLedger,
  type LedgerJob,
  type LoadHold,
} from '../database/ledger/job-ledger.ts';
import { LoadError } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Logger } from '../log.ts';
import type { Receipt } from '../receipt.ts';
import { DescribeApi } from '../salesforce/describe.ts';
import { IngestApi } from '../salesforce/ingest.ts';
import { RecordsApi } from '../salesforce/records.ts';
import type { SalesforceSession } from '../salesforce/session.ts';
import { orAborted, within } from '../time-limit.ts';
import { CallMeters } from './call-meters.ts';
import { createJobEvents, type JobEvents } from './job-events.ts';
import { jobFromInfo } from './job-info.ts';
import { JobWatcher } from './job-watcher.ts';
import { JobsInHand } from './jobs-in-hand.ts';
import { DEPLOY_MS, KeptHolds } from './kept-holds.ts';
import { JobResults } from './results.ts';
import { RunningLoads } from './running-loads.ts';
import { Scratch } from './scratch.ts';
import { jobReceipt, Settlement, Settlements } from './settlement.ts';
import { UnprocessedLetters } from './unprocessed-letters.ts';

/**
 * Settlements of every connection in this process: a dead letter or a write-back knows the job of its records, but no
 * connection.
 */
export const settlements = new Settlements();

const connections = new Set<SalesforceConnection>();

/** Node-RED gives a deploy 15 s, and each of our nodes gives itself 8. */
const FAREWELL_MS = 6_000;

/**
 * What the ledgers of this process know of a replay's claim. Undefined: none knows it, and one of them does not outlive a
 * process, so that nobody can tell what an earlier one did.
 */
export async function claimState(claimId: string): Promise<ClaimState | undefined> {
  const ledgers = [...connections].map(({ ledger }) => ledger);
  const states = await Promise.all(ledgers.map((ledger) => ledger.claimState(claimId)));
  const known = states.find((state) => state !== 'unknown');
  if (known !== undefined) return known;
  return ledgers.length > 0 && ledgers.every(({ durable }) => durable) ? 'unknown' : undefined;
}

export interface ConnectionOptions {
  session: SalesforceSession;
  ledger: JobLedger;
  clock: Clock;
  log: Logger;
  retentionDays: number;
}

/** What the nodes of one `sf-connection` share: a session, a ledger, a watcher, and what this process has in hand. */
export class SalesforceConnection {
  readonly session: SalesforceSession;
  readonly ingest: IngestApi;
  readonly records: RecordsApi;
  readonly describe: DescribeApi;
  readonly ledger: JobLedger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retentionDays: number;
  readonly meters = new CallMeters();
  readonly inHand = new JobsInHand();
  readonly keptHolds: KeptHolds;
  readonly events: JobEvents = createJobEvents();
  readonly watcher: JobWatcher;
  readonly loads = new RunningLoads();
  readonly #unprocessed: UnprocessedLetters;
  #scratch: Promise<Scratch> | undefined;

  constructor(options: ConnectionOptions) {
    this.session = options.session;
    this.ledger = options.ledger;
    this.clock = options.clock;
    this.log = options.log;
    this.retentionDays = options.retentionDays;
    this.ingest = new IngestApi(this.session);
    this.records = new RecordsApi(this.session);
    this.describe = new DescribeApi(this.session);
    this.keptHolds = new KeptHolds(this.clock);
    this.#unprocessed = new UnprocessedLetters(this.ledger, this.log);
    this.watcher = new JobWatcher({
      look: (job, signal) => this.look(job, signal),
      clock: this.clock,
      overBudget: () => this.session.overBudget,
    });
    connections.add(this);
  }

  /** Where this connection's jobs and results wait on disk. Where that cannot be made, the next who asks tries again. */
  scratch(): Promise<Scratch> {
    this.#scratch ??= Scratch.open({ log: this.log }).catch((error) => {
      this.#scratch = undefined;
      throw error;
    });
    return this.#scratch;
  }

  /**
   * Asks Salesforce how a job stands. One whose close was asked for, and that is Open all the same, will never run by
   * itself: it is aborted, so that its results tell that nothing of it was loaded (design §7.2).
   */
  async look(job: Job, signal: AbortSignal): Promise<Job> {
    const call = { meter: this.meters.of(job.id), signal };
    const seen = jobFromInfo(await this.ingest.info(job.id, call), job);
    if (seen.state !== 'Open' || (await this.ledger.findJob(job.id))?.state !== 'closing') return seen;
    await this.ingest.abort(job.id, call);
    const ended = jobFromInfo(await this.ingest.info(job.id, call), job);
    await this.ledger.markClosed(job.id, ended);
    return ended;
  }

  /** Ends a job that is not wanted any more; one that has ended before stays as it is. */
  async abort(job: Job, signal: AbortSignal): Promise<Job> {
    const call = { meter: this.meters.of(job.id), signal };
    await this.ingest.abort(job.id, call);
    return jobFromInfo(await this.ingest.info(job.id, call), job);
  }

  /** A job from its bare id, whoever made it: what the ledger knows of it, else what Salesforce knows. */
  async findJob(jobId: string, signal: AbortSignal): Promise<Job> {
    const known = await this.ledger.findJob(jobId);
    if (known) return this.look(known.job, signal);
    const meter = { calls: 0 };
    const info = await this.ingest.info(jobId, { meter, signal });
    this.meters.of(info.id).calls += meter.calls;
    // An id of 15 characters names the same job as its 18.
    return jobFromInfo(info, (await this.ledger.findJob(info.id))?.job);
  }

  /**
   * Waits for the nodes that use it, which close at the same time and need it to the end. Then Salesforce's connections are
   * cut; the ledger's are its database's own.
   */
  async close(): Promise<void> {
    connections.delete(this);
    await this.keptHolds.close();
    await within(this.clock, FAREWELL_MS, (late) => orAborted(late, this.#unused())).catch(() => {});
    await this.session.close();
    await (await this.#scratch?.catch(() => undefined))?.close();
    if (this.ledger.durable) await this.ledger.close();
  }

  async #unused(): Promise<void> {
    await this.loads.untilClosed();
    await this.inHand.untilIdle();
  }

  /**
   * Takes a closed job in hand: whatever parked it is over, and its load is held again by this process. Returns the
   * function that lets it go, or undefined when `whose` hands have it already (`inHand.takenBy` tells who put it there). A
   * job of no load here (made by another tool) is taken as it is.
   *
   * @throws LoadError LOAD_ALREADY_RUNNING when another process holds the job's load
   */
  async carryOn(jobId: string, whose: string, by = whose): Promise<(() => void) | undefined> {
    const release = this.inHand.take(jobId, whose, by);
    if (!release) return undefined;
    try {
      const known = await this.ledger.findJob(jobId);
      if (known && isUnsettled(known)) await this.loads.of(known)?.carryOn(known);
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The job stopped short of settled; `again` when it is to be sent again at once (design §7.8). */
  async park(jobId: string, reason: string, again: boolean): Promise<void> {
    const known = await this.ledger.findJob(jobId);
    if (!known || !isUnsettled(known)) return;
    await this.ledger.parkJob(jobId, reason);
    this.events.emit('parked', jobId, again);
  }

  async downloadResults(job: Job, signal: AbortSignal): Promise<JobResults> {
    const { ingest, clock } = this;
    const scratch = await this.scratch();
    return JobResults.download(job, { ingest, clock, scratch, signal, meter: this.meters.of(job.id) });
  }

  /** What a job holds of a replay's letters and Salesforce did not get to is the replay's again. */
  giveBackUnprocessed(results: JobResults, signal: AbortSignal): Promise<void> {
    return this.#unprocessed.giveBack(results, signal);
  }

  /** Begins to account for a job's records; the dead letters and write-backs behind find it by the job. */
  async openSettlement(results: JobResults, batchSize: number): Promise<Settlement> {
    const { job, counts } = results;
    const loadName = (await this.ledger.findJob(job.id))?.load.loadName;
    const settlement = new Settlement(job, counts, { batchSize, clock: this.clock, loadName });
    settlements.open(settlement);
    return settlement;
  }

  /** Writes down what became of a job's records, and tells its load. `startedAt` serves for a job of no load here. */
  async settle(settlement: Settlement, startedAt: string): Promise<Receipt> {
    const { job } = settlement;
    const known = await this.ledger.findJob(job.id);
    const receipt = jobReceipt(settlement, {
      startedAt: job.createdDate ? new Date(job.createdDate).toISOString() : startedAt,
      finishedAt: (await this.ledger.now()).toISOString(),
      apiCalls: this.meters.of(job.id).calls,
    });
    if (known && isUnsettled(known)) await this.ledger.settleJob(job.id, job, receipt);
    this.meters.forget(job.id);
    this.events.emit('settled', job, receipt);
    return receipt;
  }

  /**
   * The hold under which REST writes for a job's records are made; undefined for a job that no load of this ledger made.
   * Waits while the load's node is being deployed anew.
   *
   * @throws LoadError LOAD_BROKEN_OFF when its load is held by another process
   */
  async holdFor(jobId: string, signal?: AbortSignal): Promise<LoadHold | undefined> {
    const known = await this.ledger.findJob(jobId);
    if (!known || !isUnsettled(known)) return undefined;
    const held = await this.#heldLoad(known, signal).catch((error) => {
      signal?.throwIfAborted();
      throw notHeld(known, error);
    });
    if (held?.hold && !held.hold.signal.aborted) return held.hold;
    throw notHeld(known, undefined);
  }

  /** Where nobody holds it, its node in this process takes it up. */
  async #heldLoad(
    known: LedgerJob,
    signal?: AbortSignal,
  ): Promise<{ hold: LoadHold | undefined } | undefined> {
    const { loadName } = known.load;
    const kept = () => this.keptHolds.find(loadName);
    await within(this.clock, DEPLOY_MS, async (late) => {
      const stop = AbortSignal.any([late, ...(signal ? [signal] : [])]);
      while (!this.loads.of(known) && !kept()) await orAborted(stop, this.loads.arrival);
    });
    const hold = this.loads.of(known)?.hold ?? kept();
    if (hold) return { hold };
    await this.loads.of(known)?.carryOn(known);
    return this.loads.of(known);
  }
}

function notHeld({ job, load }: LedgerJob, cause: unknown): LoadError {
  return new LoadError(
    'LOAD_BROKEN_OFF',
    `Load "${load.loadName}" is not held by this Node-RED, so it makes no REST write for job ${job.id}. The process that ` +
      'holds it carries the job on.',
    { cause },
  );
}
