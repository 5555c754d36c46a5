import type { Clock } from '../../clock.ts';
import type { RetryOutcome } from '../../database/ledger/job-ledger.ts';
import { isLoadError } from '../../errors.ts';
import type { Explanation } from '../classify.ts';
import type { RetrySession } from '../record-api.ts';
import type { RetryBook } from './book.ts';
import type { Answer, RecordCaller } from './caller.ts';
import { type Doubts, type Finding, wholeSecond } from './doubts.ts';
import { byParent, type RetryItem } from './item.ts';
import { type CallFacts, isPatient, nextStep, type RetrySettings, type Step } from './next-step.ts';
import { ledgerOutcome } from './outcomes.ts';
import { RetryQueue } from './queue.ts';
import { type Stop, stopOf, stopOfLimit } from './stop.ts';

export interface RunParts {
  settings: RetrySettings;
  clock: Clock;
  random: () => number;
  book: RetryBook;
  session: RetrySession;
  caller: RecordCaller;
  doubts: Doubts;
  judge: (item: RetryItem) => Explanation;
  /** No further call once it is aborted. */
  signal: AbortSignal;
  /** Should it break. */
  comesAgain: boolean;
}

/** What broke a run, and the records of which nothing is stored as far as anybody can tell. */
export interface Broken {
  error: unknown;
  rest: RetryItem[];
}

/** One batch under way: which record is sent when, with whom, and what its answer means. */
export class RetryRun {
  readonly #parts: RunParts;
  readonly #book: RetryBook;
  readonly #queue = new RetryQueue();
  readonly #flights = new Set<Promise<void>>();
  #stop: Stop | undefined;
  #broken: { error: unknown } | undefined;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#book = parts.book;
    const { items } = parts.book;
    for (const item of items) item.alone = parts.settings.mode === 'individual';
    this.#queue.add(parts.settings.concurrency > 1 ? byParent(items) : items);
  }

  /**
   * Settles once nothing is under way any more: with what broke a call, where one did. Rejects as `giveUp` does, and with
   * the signal's reason when that left anything unsent.
   */
  async finish(): Promise<Broken | undefined> {
    while (this.#mayGoOn() && (this.#queue.size > 0 || this.#flights.size > 0)) {
      // One moment for both: what comes due between two readings would be waited for by nobody.
      const now = this.#parts.clock.now();
      this.#launch(now);
      await this.#wait(now);
    }
    await Promise.all(this.#flights);
    if (this.#stop && !this.#broken) await this.#leaveRest(this.#stop);
    if (this.#broken) return this.giveUp(this.#broken.error);
    if (!this.#stop && this.#queue.size > 0) this.#parts.signal.throwIfAborted();
    return undefined;
  }

  /**
   * Ends a run that has broken, or that could not begin. Rejects with the error where the batch is somebody else's from now
   * on (the node is being stopped, another process has taken the load over): nothing of it may be handed out.
   */
  async giveUp(error: unknown): Promise<Broken> {
    const { signal, comesAgain } = this.#parts;
    if (signal.aborted || isLoadError(error, 'LOAD_BROKEN_OFF')) throw error;
    return { error, rest: await this.#book.windUp(error, comesAgain) };
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
      await this.#book.begin(items);
      begun = items;
      await this.#settleDoubts(
        items.filter((item) => this.#book.isOpen(item) && item.inDoubt),
        items,
      );
      const open = items.filter((item) => this.#book.isOpen(item));
      if (open.length > 0) await this.#call(open);
    } catch (error) {
      await this.#breakOff(
        begun.filter((item) => this.#book.isOpen(item)),
        error,
      );
    }
  }

  /** Inserts without an answer: found, given up as doubtful, or known to be absent and so to be sent again. */
  async #settleDoubts(items: readonly RetryItem[], call: readonly RetryItem[]): Promise<void> {
    if (items.length === 0) return;
    const findings = await this.#lookUp(items, call);
    await this.#book.end(items.flatMap((item) => this.#settleDoubt(item, findings.get(item)) ?? []));
  }

  #lookUp(items: readonly RetryItem[], call: readonly RetryItem[]): Promise<Map<RetryItem, Finding>> {
    const { doubts, caller } = this.#parts;
    return doubts.lookUp(items, { call, batch: this.#book }, caller.options);
  }

  #settleDoubt(item: RetryItem, finding: Finding | undefined): RetryOutcome | undefined {
    const { clock, settings } = this.#parts;
    if (finding?.kind === 'ours') return this.#book.succeed(item, finding.id);
    if (finding?.kind === 'unclear' || finding?.kind === 'anyones')
      return this.#book.giveUpInDoubt(item, finding.why);
    return isPatient(item, clock.now(), settings) ? undefined : this.#book.giveUpUnanswered(item);
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
    await this.#book.end(ended);
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
        return [this.#book.succeed(item, step.id)];
      case 'failed':
        return [this.#book.fail(item, step.explanation)];
      case 'lost':
        return [this.#book.giveUpUnanswered(item)];
      case 'in-doubt':
        return [this.#book.giveUpInDoubt(item)];
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
      if (finding?.kind === 'ours') return this.#book.succeed(item, finding.id);
      if (finding?.kind === 'anyones') return this.#book.giveUpInDoubt(item, finding.why);
      return this.#book.fail(item, this.#parts.judge(item));
    });
    await this.#book.end(ended);
  }

  /** One bad record had the call refused: the halves tell which. Nothing was looked at, so it counts for none. */
  async #halve(items: readonly RetryItem[]): Promise<void> {
    for (const item of items) item.company = Math.ceil(items.length / 2);
    await this.#book.end(items.filter((item) => !item.inDoubt).map((item) => ledgerOutcome(item, 'failed')));
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
      await this.#book.end(untouched.map((item) => ledgerOutcome(item, 'failed')));
    } catch (ledgerError) {
      // What stays `calling` is looked up before it is sent again: nothing is lost by it.
      this.#broken ??= { error: ledgerError };
    }
  }

  /** Nothing more is sent. What was never sent is in the ledger too, so that a repeat of the batch ends the same way. */
  async #leaveRest(stop: Stop): Promise<void> {
    const book = this.#book;
    const items = this.#queue.drain();
    if (items.length === 0) return;
    const why = `It could not be looked up: ${stop.said}.`;
    try {
      await book.begin(items);
      const open = items.filter((item) => book.isOpen(item));
      await book.end(
        open.map((item) => (item.inDoubt ? book.giveUpInDoubt(item, why) : book.leave(item, stop))),
      );
    } catch (error) {
      this.#broken ??= { error };
    }
  }
}
