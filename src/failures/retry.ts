import { type Clock, systemClock } from '../clock.ts';
import type { JobLedger, LoadHold } from '../database/ledger/job-ledger.ts';
import { LoadError } from '../errors.ts';
import type { Failure, RetriedRecord } from '../failure.ts';
import type { CallMeter, CallOptions } from '../salesforce/call.ts';
import { withGrace } from '../time-limit.ts';
import type { Explanation } from './classify.ts';
import type { DescribeSource, RecordApi, RetrySession } from './record-api.ts';
import { type DescribedObject, RestRecords } from './rest-record.ts';
import { RetryBook } from './retry/book.ts';
import { RecordCaller } from './retry/caller.ts';
import { Doubts } from './retry/doubts.ts';
import { makeItem, type RetryItem, type RetryJob, unsendable } from './retry/item.ts';
import { withKeys } from './retry/keys-under-way.ts';
import type { RetrySettings } from './retry/next-step.ts';
import { failureNow, judgeLatest, neverOverRest, type Result, untouched } from './retry/outcomes.ts';
import { parentLookups } from './retry/parents.ts';
import { RetryRun } from './retry/run.ts';

export type { RetryJob } from './retry/item.ts';

export interface RetryOptions {
  mode: RetrySettings['mode'];
  /** Answered calls for one record, at most (design §6: 3). */
  maxAttempts: number;
  /** Wait before the second try; doubled before each further one, with jitter. */
  backoffMs: number;
  /** Calls in flight at the same time (design §6: 1). */
  concurrency: number;
  ledger: JobLedger;
  session: RetrySession;
  records: RecordApi;
  describe: DescribeSource;
  /** Judges the errors of answers (Classifier.judge). One that says what the failure said is judged as the failure was. */
  judge: (text: string) => Explanation;
  clock?: Clock;
  /** For the jitter; in [0, 1). */
  random?: () => number;
  /** How long lost answers are put up with, from a record's first one; default 10 minutes. */
  outageMs?: number;
  /** How long a call under way may go on after the signal was aborted; default 5 s. */
  graceMs?: number;
}

export interface RetryCallOptions {
  signal?: AbortSignal | undefined;
  /** The right to run the job's load: without it no call is made. Undefined: nobody asks for one. */
  hold?: LoadHold | undefined;
  /** Counts the HTTP requests, also of a retry that rejects. */
  meter?: CallMeter | undefined;
  /** Should it break, the whole batch is delivered once more: what is in doubt is better looked up then than given up. */
  comesAgain?: boolean;
}

export interface RetryResult {
  succeeded: RetriedRecord[];
  failed: Failure[];
  /** HTTP requests made. */
  calls: number;
  /** Where the retry broke in the middle: by what, and the failures of which none is stored and none is in a list. */
  broken?: { error: unknown; rest: Failure[] };
}

const DEFAULT_OUTAGE_MS = 600_000;
const DEFAULT_GRACE_MS = 5_000;

/**
 * Sends failed records again over REST, in Collections of up to 200 or one by one (issue 5, design §7.10). Every failure
 * comes back once: as succeeded, or as failed with its whole history. Those that cannot pass are not sent.
 */
export class SingleRetry {
  readonly #options: RetryOptions;
  readonly #clock: Clock;

  constructor(options: RetryOptions) {
    checkNumbers(options);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * In the order of the failures; one that comes twice in a batch counts once. Rejects with the reason of the signal or of
   * a lost hold (calls under way are waited for, and what they bring is in the ledger). `broken` when a call could not be
   * made at all (SF_AUTH_FAILED, SF_REQUEST_FAILED) or the ledger is away (DB_UNAVAILABLE): what is known by then is in the
   * lists, inserts in doubt as IN_DOUBT unless the batch comes again. In either case the same batch may be sent again: what
   * succeeded is known.
   */
  async retry(
    failures: readonly Failure[],
    job: RetryJob,
    options: RetryCallOptions = {},
  ): Promise<RetryResult> {
    const batch = withoutRepeats(failures);
    const wanted = job.operation === 'hardDelete' ? [] : batch.filter(({ retryable }) => retryable);
    const meter: CallMeter = { calls: 0 };
    const signal = AbortSignal.any(
      [options.signal, options.hold?.signal].filter((each) => each !== undefined),
    );
    try {
      const sent = await withKeys(
        this.#options.ledger,
        wanted.map(({ key }) => key),
        signal,
        () => this.#send(wanted, job, { ...options, signal, meter }),
      );
      return { ...sorted(batch, sent, job), calls: meter.calls };
    } finally {
      if (options.meter) options.meter.calls += meter.calls;
    }
  }

  async #send(
    failures: readonly Failure[],
    job: RetryJob,
    parts: RetryCallOptions & { signal: AbortSignal; meter: CallMeter },
  ): Promise<Sent> {
    if (failures.length === 0) return { results: new Map() };
    const { signal, hold, meter, comesAgain = false } = parts;
    signal.throwIfAborted();
    // A call under way when the signal comes has its time still.
    return withGrace(this.#clock, signal, this.#options.graceMs ?? DEFAULT_GRACE_MS, async (late) => {
      const { object, error } = await this.#describe(job, { signal: late, meter });
      const { sendable, results } = this.#prepare(failures, job, object);
      const caller = new RecordCaller({ records: this.#options.records, job, meter, signal: late });
      const { run, book } = this.#newRun(sendable, { job, object, caller, hold, signal, comesAgain });
      const broken = error === undefined ? await run.finish() : await run.giveUp(error);
      for (const [item, result] of book.results) results.set(item.original.key, result);
      if (broken === undefined) return { results };
      const rest = broken.rest.map((item) => untouched(item, (each) => this.#judge(each)));
      const withheld = new Set(sendable.filter((item) => book.isOpen(item)).map((item) => item.original.key));
      return { results, broken: { error: broken.error, rest }, withheld };
    });
  }

  /** Where it fails nothing is sent, so that no field's type matters. */
  async #describe(
    job: RetryJob,
    options: CallOptions,
  ): Promise<{ object: DescribedObject; error?: unknown }> {
    try {
      return { object: await this.#options.describe.describe(job.object, options) };
    } catch (error) {
      return { object: { fields: [] }, error };
    }
  }

  #newRun(
    items: readonly RetryItem[],
    parts: {
      job: RetryJob;
      object: DescribedObject;
      caller: RecordCaller;
      hold: LoadHold | undefined;
      signal: AbortSignal;
      comesAgain: boolean;
    },
  ): { run: RetryRun; book: RetryBook } {
    const { ledger, session, records, maxAttempts, random = Math.random } = this.#options;
    const { job, hold, caller, signal, comesAgain } = parts;
    const judge = (item: RetryItem) => this.#judge(item);
    const doubts = new Doubts({ records, session, ledger, job, object: parts.object });
    const book = new RetryBook({ ledger, hold, job, judge, doubts, maxAttempts }, items);
    const settings = { ...this.#options, outageMs: this.#options.outageMs ?? DEFAULT_OUTAGE_MS };
    return {
      run: new RetryRun({
        settings,
        clock: this.#clock,
        random,
        book,
        session,
        caller,
        doubts,
        judge,
        signal,
        comesAgain,
      }),
      book,
    };
  }

  #judge(item: RetryItem): Explanation {
    return judgeLatest(item, this.#options.judge);
  }

  /** Records as REST takes them. One without its id or key fails here, in Salesforce's words and without a call. */
  #prepare(
    failures: readonly Failure[],
    job: RetryJob,
    object: DescribedObject,
  ): { sendable: RetryItem[]; results: Map<string, Result> } {
    const records = new RestRecords(object);
    const lookups = parentLookups(object);
    const results = new Map<string, Result>();
    const items = failures.flatMap((failure) => makeItem(failure, job, records, lookups) ?? []);
    const sendable = items.filter((item) => {
      const reason = unsendable(item, job);
      if (reason === undefined) return true;
      item.error = reason;
      results.set(item.original.key, { failure: failureNow(item, this.#judge(item)) });
      return false;
    });
    return { sendable, results };
  }
}

function withoutRepeats(failures: readonly Failure[]): Failure[] {
  const byKey = new Map<string, Failure>();
  for (const failure of failures) {
    if (typeof failure.key !== 'string' || failure.key === '') {
      throw new LoadError(
        'RECORD_INVALID',
        'A failure has no key, so nobody could tell whether it was sent before. Send what sf-failure-classify makes of the rows of sf-bulk-results.',
      );
    }
    if (!byKey.has(failure.key)) byKey.set(failure.key, failure);
  }
  return [...byKey.values()];
}

/** What became of the failures that were to be sent, by their keys. */
interface Sent {
  results: Map<string, Result>;
  broken?: { error: unknown; rest: Failure[] };
  /** Keys of those that nothing became of: the rest, and what is in doubt until the batch comes again. */
  withheld?: ReadonlySet<string>;
}

function sorted(
  batch: readonly Failure[],
  { results, broken, withheld }: Sent,
  job: RetryJob,
): Pick<RetryResult, 'succeeded' | 'failed' | 'broken'> {
  const succeeded: RetriedRecord[] = [];
  const failed: Failure[] = [];
  for (const failure of batch) {
    if (withheld?.has(failure.key)) continue;
    const result = results.get(failure.key);
    if (result && 'retried' in result) succeeded.push(result.retried);
    else if (result) failed.push(result.failure);
    else failed.push(job.operation === 'hardDelete' ? neverOverRest(failure) : failure);
  }
  return broken === undefined ? { succeeded, failed } : { succeeded, failed, broken };
}

function checkNumbers({ maxAttempts, backoffMs, concurrency }: RetryOptions): void {
  const check = (name: string, isRight: boolean, what: string, value: number) => {
    if (!isRight) throw new LoadError('CONFIG_INVALID', `${name} must be ${what}: ${value}`);
  };
  const isCount = (value: number) => Number.isInteger(value) && value >= 1;
  check('maxAttempts', isCount(maxAttempts), 'a whole number, 1 at least', maxAttempts);
  check('concurrency', isCount(concurrency), 'a whole number, 1 at least', concurrency);
  check('backoff', Number.isFinite(backoffMs) && backoffMs >= 0, 'a time, 0 at least', backoffMs);
}
