import type { Clock } from '../../clock.ts';
import type { JobLedger, LoadHold, RetryEntry, RetryOutcome } from '../../database/ledger/job-ledger.ts';
import { isLoadError } from '../../errors.ts';
import type { Explanation } from '../classify.ts';
import type { RetrySession } from '../record-api.ts';
import type { Answer, RecordCaller } from './caller.ts';
import { type Doubts, type Finding, wholeSecond } from './doubts.ts';
import { byParent, type RetryItem, type RetryJob } from './item.ts';
import { type CallFacts, isPatient, nextStep, type RetrySettings, type Step } from './next-step.ts';
import {
  failureNow,
  inDoubt,
  ledgerOutcome,
  leftBehind,
  noAnswer,
  type Result,
  rememberedResult,
  retriedRecord,
  takeHistory,
} from './outcomes.ts';
import { RetryQueue } from './queue.ts';
import { type Stop, stopOf, stopOfLimit } from './stop.ts';

export interface RunParts {
  settings: RetrySettings;
  clock: Clock;
  random: () => number;
  ledger: JobLedger;
  hold: LoadHold | undefined;
  session: RetrySession;
  caller: RecordCaller;
  doubts: Doubts;
  judge: (item: RetryItem) => Explanation;
  job: RetryJob;
  /** No further call once it is aborted. */
  signal: AbortSignal;
}

/** One batch under way: which record is sent when, with whom, and what its answer means. */
export class RetryRun {
  readonly results = new Map<RetryItem, Result>();
  readonly #items: readonly RetryItem[];
  readonly #parts: RunParts;
  readonly #queue = new RetryQueue();
  readonly #flights = new Set<Promise<void>>();
  #stop: Stop | undefined;
  #broken: { error: unknown } | undefined;

  constructor(parts: RunParts, items: readonly RetryItem[]) {
    this.#parts = parts;
    this.#items = items;
    for (const item of items) item.alone = parts.settings.mode === 'individual';
    this.#queue.add(parts.settings.concurrency > 1 ? byParent(items) : items);
  }

  /** Rejects with the signal's reason, or with what broke a call, once nothing is under way any more. */
  async finish(): Promise<void> {
    while (this.#mayGoOn() && (this.#queue.size > 0 || this.#flights.size > 0)) {
      // One moment for both: what comes due between two readings would be waited for by nobody.
      const now = this.#parts.clock.now();
      this.#launch(now);
      await this.#wait(now);
    }
    await Promise.all(this.#flights);
    if (this.#broken) throw this.#broken.error;
    if (this.#stop) await this.#leaveRest(this.#stop);
    else if (this.#queue.size > 0) this.#parts.signal.throwIfAborted();
  }

  #mayGoOn(): boolean {
    return !this.#stop && !this.#broken && !this.#parts.signal.aborted;
  }

  #launch(now: number): void {
    while (this.#flights.size < this.#parts.settings.concurrency) {
      const items = this.#queue.next(now);
      if (!items) return;
      const flight = this.#fly(items).finally(() => {
        this.#queue.release(items);
        this.#flights.delete(flight);
      });
      this.#flights.add(flight);
    }
  }

  /** Until a call comes back, or the next record is due. */
  async #wait(now: number): Promise<void> {
    const { clock, signal, settings } = this.#parts;
    const dueAt = this.#flights.size < settings.concurrency ? this.#queue.nextDueAt(now) : undefined;
    if (dueAt === undefined) {
      await Promise.race(this.#flights);
      return;
    }
    const awake = new AbortController();
    const nap = clock.sleep(dueAt - now, AbortSignal.any([signal, awake.signal])).catch(() => {});
    await Promise.race([...this.#flights, nap]);
    awake.abort();
  }

  /** One call, from the ledger's first word to its last. What breaks it breaks the run; nothing is thrown from here. */
  async #fly(items: readonly RetryItem[]): Promise<void> {
    let begun: readonly RetryItem[] = [];
    try {
      this.#parts.signal.throwIfAborted();
      await this.#begin(items);
      begun = items;
      await this.#settleDoubts(
        items.filter((item) => this.#isOpen(item) && item.inDoubt),
        items,
      );
      const open = items.filter((item) => this.#isOpen(item));
      if (open.length > 0) await this.#call(open);
    } catch (error) {
      await this.#breakOff(
        begun.filter((item) => this.#isOpen(item)),
        error,
      );
    }
  }

  #isOpen(item: RetryItem): boolean {
    return !this.results.has(item);
  }

  /** Notes the call in the ledger, and takes up what is known of each record from before. */
  async #begin(items: readonly RetryItem[]): Promise<void> {
    const { ledger, job, hold } = this.#parts;
    const keys = items.map(({ original }) => ({ key: original.key, jobId: job.id }));
    const known = await ledger.beginRetries(keys, hold);
    const spent: RetryItem[] = [];
    for (const item of items) {
      const entry = known.get(item.original.key);
      if (entry) await this.#recall(item, entry, spent);
    }
    await this.#end(spent.map((item) => this.#fail(item, this.#parts.judge(item))));
  }

  async #recall(item: RetryItem, entry: RetryEntry, spent: RetryItem[]): Promise<void> {
    const { job, judge, settings, doubts } = this.#parts;
    if (entry.state !== 'calling' && entry.state !== 'failed') {
      this.results.set(item, rememberedResult(item, entry, job, judge));
      return;
    }
    if (entry.attempts.length > item.attempts.length) takeHistory(item, entry);
    if (entry.state === 'failed') {
      if (item.tries >= settings.maxAttempts) spent.push(item);
      return;
    }
    // `calling`, though none of our calls is in the air: a process that is gone made it.
    if (item.verb !== 'insert' || item.inDoubt) return;
    item.inDoubt = true;
    item.doubtfulSince ??= await doubts.orgMoment(entry.calledAt);
  }

  /** Inserts without an answer: found, given up as doubtful, or known to be absent and so to be sent again. */
  async #settleDoubts(items: readonly RetryItem[], call: readonly RetryItem[]): Promise<void> {
    if (items.length === 0) return;
    const findings = await this.#lookUp(items, call);
    await this.#end(items.flatMap((item) => this.#settleDoubt(item, findings.get(item)) ?? []));
  }

  #lookUp(items: readonly RetryItem[], call: readonly RetryItem[]): Promise<Map<RetryItem, Finding>> {
    const batch = { items: this.#items, results: this.results };
    return this.#parts.doubts.lookUp(items, { call, batch }, this.#parts.caller.options);
  }

  #settleDoubt(item: RetryItem, finding: Finding | undefined): RetryOutcome | undefined {
    const { clock, settings } = this.#parts;
    if (finding?.kind === 'ours') return this.#succeed(item, finding.id);
    if (finding?.kind === 'unclear' || finding?.kind === 'anyones')
      return this.#giveUpInDoubt(item, finding.why);
    return isPatient(item, clock.now(), settings) ? undefined : this.#giveUpUnanswered(item);
  }

  async #call(items: readonly RetryItem[]): Promise<void> {
    const { session, caller, signal, clock } = this.#parts;
    signal.throwIfAborted();
    session.assertBudget();
    const calledAt = wholeSecond(session.orgNow().getTime());
    const answers = await caller.send(items);
    if (answers === 'spoilt') {
      await this.#halve(items);
      return;
    }
    const via = items.length > 1 ? 'collections' : 'individual';
    await this.#takeAnswers(items, answers, { via, company: items.length, calledAt, now: clock.now() });
  }

  async #takeAnswers(
    items: readonly RetryItem[],
    answers: readonly Answer[],
    facts: CallFacts,
  ): Promise<void> {
    const ended: RetryOutcome[] = [];
    const maybeOwn: RetryItem[] = [];
    const again: RetryItem[] = [];
    for (const [at, item] of items.entries()) {
      const answer = answers[at];
      if (!answer) throw new Error(`Salesforce answered for ${answers.length} of ${items.length} records`);
      const step = nextStep(item, answer, facts, this.#parts);
      if (answer.kind === 'refused') this.#stop ??= stopOf(answer.error);
      if (step.kind === 'maybe-own') maybeOwn.push(item);
      if (step.kind === 'again' || step.kind === 'unanswered') again.push(item);
      ended.push(...this.#take(item, step));
    }
    await this.#end(ended);
    await this.#claimOwn(maybeOwn, items);
    this.#sendAgain(again);
  }

  /**
   * Once the ledger knows how their last call ended, and not before: its `failed` would else be noted in the middle of the
   * next call, and a record which that one stores would be sent once more when the batch is delivered again.
   */
  #sendAgain(items: readonly RetryItem[]): void {
    this.#queue.add(items);
  }

  /** What the ledger is told: nothing yet of a call without an answer, or of a duplicate to be looked up. */
  #take(item: RetryItem, step: Step): RetryOutcome[] {
    switch (step.kind) {
      case 'succeeded':
        return [this.#succeed(item, step.id)];
      case 'failed':
        return [this.#fail(item, step.explanation)];
      case 'lost':
        return [this.#giveUpUnanswered(item)];
      case 'in-doubt':
        return [this.#giveUpInDoubt(item, this.#parts.doubts.withoutKey())];
      case 'again':
        return [ledgerOutcome(item, 'failed')];
      case 'unanswered':
      case 'maybe-own':
        return [];
    }
  }

  /** Duplicates after a lost answer: of what that call stored itself, or of something else. */
  async #claimOwn(items: readonly RetryItem[], call: readonly RetryItem[]): Promise<void> {
    if (items.length === 0) return;
    const findings = await this.#lookUp(items, call);
    const ended = items.map((item) => {
      const finding = findings.get(item);
      if (finding?.kind === 'ours') return this.#succeed(item, finding.id);
      if (finding?.kind === 'anyones') return this.#giveUpInDoubt(item, finding.why);
      return this.#fail(item, this.#parts.judge(item));
    });
    await this.#end(ended);
  }

  /** One bad record had the call refused: the halves tell which. Nothing was looked at, so it counts for none. */
  async #halve(items: readonly RetryItem[]): Promise<void> {
    for (const item of items) item.company = Math.ceil(items.length / 2);
    await this.#end(items.filter((item) => !item.inDoubt).map((item) => ledgerOutcome(item, 'failed')));
    this.#sendAgain(items);
  }

  /** None of these records was processed by the call that broke; what was in doubt before stays so. */
  async #breakOff(items: readonly RetryItem[], error: unknown): Promise<void> {
    if (isLoadError(error, 'SF_API_LIMIT')) {
      this.#stop ??= stopOfLimit(error);
      this.#queue.add(items);
    } else {
      this.#broken ??= { error };
    }
    const untouched = items.filter((item) => !item.inDoubt);
    try {
      await this.#end(untouched.map((item) => ledgerOutcome(item, 'failed')));
    } catch (ledgerError) {
      // What stays `calling` is looked up before it is sent again: nothing is lost by it.
      this.#broken ??= { error: ledgerError };
    }
  }

  /** Nothing more is sent. What was never sent is in the ledger too, so that a repeat of the batch ends the same way. */
  async #leaveRest(stop: Stop): Promise<void> {
    const items = this.#queue.drain();
    if (items.length === 0) return;
    await this.#begin(items);
    const open = items.filter((item) => this.#isOpen(item));
    await this.#end(
      open.map((item) => {
        if (item.inDoubt) return this.#giveUpInDoubt(item, `It could not be looked up: ${stop.said}.`);
        this.results.set(item, { failure: leftBehind(item, stop) });
        return ledgerOutcome(item, 'gave-up');
      }),
    );
  }

  #succeed(item: RetryItem, id: string): RetryOutcome {
    this.results.set(item, { retried: retriedRecord(item, id) });
    return ledgerOutcome(item, 'succeeded', id);
  }

  #fail(item: RetryItem, explanation: Explanation): RetryOutcome {
    this.results.set(item, { failure: failureNow(item, explanation) });
    return ledgerOutcome(item, 'gave-up');
  }

  #giveUpUnanswered(item: RetryItem): RetryOutcome {
    this.results.set(item, { failure: noAnswer(item) });
    return ledgerOutcome(item, 'gave-up');
  }

  #giveUpInDoubt(item: RetryItem, why: string): RetryOutcome {
    this.results.set(item, { failure: inDoubt(item, this.#parts.job, why) });
    return ledgerOutcome(item, 'in-doubt');
  }

  async #end(ended: RetryOutcome[]): Promise<void> {
    if (ended.length > 0) await this.#parts.ledger.endRetries(ended, this.#parts.hold);
  }
}
