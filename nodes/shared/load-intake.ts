import type { LoadError } from '../../src/errors.ts';
import type { Failure } from '../../src/failure.ts';
import type { JobSpec } from '../../src/job.ts';
import type { SentClaim } from '../../src/load/claims.ts';
import type { CsvSource, Rejected } from '../../src/load/job-files.ts';
import { carriedBy } from '../../src/load/kept-message.ts';
import type { Load } from '../../src/load/load.ts';
import { type RejectedGroup, RejectedRecords } from '../../src/load/rejected.ts';
import type { Run } from '../../src/load/run.ts';
import type { SourceRecord } from '../../src/record.ts';
import { orAborted } from '../../src/time-limit.ts';
import type { Message } from './red.ts';
import { type SequenceMark, sequenceMark } from './sequence-mark.ts';
import { onSequenceOver, sequenceState } from './sequence-registry.ts';
import { loadError } from './texts.ts';

/** What a message brings to load. */
export type Rows = { records: SourceRecord[] } | { csv: CsvSource };

/** Reads a message; throws when there is nothing in it that could be loaded. */
export type ReadMessage = () => { rows: Rows; spec: JobSpec };

/** What became of a message's rows. */
export interface Taken {
  /** Null: its run had broken off before. */
  runId: string | null;
  /** Records of an array that cannot be sent. */
  rejected: Failure[];
}

/** Records of a CSV that cannot be sent. */
export interface TakenGroup extends RejectedGroup<Failure> {
  runId: string;
}

/** Resolves when it is sent, for the last one when all are through; what it rejects with breaks the run off. */
export type OnRejected = (group: TakenGroup) => Promise<void>;

/** Where a message stands in its sequence; one without a sequence is first and last. */
interface Place {
  id: string | undefined;
  /** How many messages there are. Of a tracked sequence its sender knows: split, batch and join count groups of their own. */
  count: number | undefined;
  /** Of a tracked sequence. */
  mark: SequenceMark | undefined;
}

/** What broke off is remembered, so that the rest of a sequence begins no run of its own; but not for ever. */
const MOST_REMEMBERED = 1000;

const NOTHING_TAKEN: Taken = { runId: null, rejected: [] };

interface Gathering {
  id: string | undefined;
  run: Promise<Run>;
  tracked: boolean;
  /** What its first message carries. */
  carried: Message;
  rejected: RejectedRecords | undefined;
  received: number;
  /** Of its messages, once the one that knows has come: it may have overtaken others. */
  count: number | undefined;
  /** The last thing begun for it; writes follow each other. */
  turn: Promise<unknown>;
  failed: boolean;
  finishing: Promise<void> | undefined;
  stopListening: () => void;
}

/**
 * Gathers the messages of a sequence into one run of a load. A sequence ends at `parts.count`; a tracked one when its sender
 * says that it is over, whatever nodes on the way have dropped or cut anew (design §5).
 */
export class LoadIntake {
  readonly #nodeId: string;
  readonly #load: Load;
  readonly #onBackgroundError: (error: unknown, carried: Message) => void;
  readonly #gatherings = new Map<string, Gathering>();
  /** By sequence, what broke it off. */
  readonly #brokenOff = new Map<string, { reason: unknown }>();
  /** The one that was begun last. */
  #run: Promise<Run | undefined> = Promise.resolve(undefined);

  constructor(nodeId: string, load: Load, onBackgroundError: (error: unknown, carried: Message) => void) {
    this.#nodeId = nodeId;
    this.#load = load;
    this.#onBackgroundError = onBackgroundError;
  }

  /**
   * Takes the rows of one message. Resolves, with the records that cannot be sent, for a tracked sequence as soon as the
   * rows are in scratch files, because its source can be asked again; for any other once they are in closed jobs. Of a CSV
   * such records go to `onRejected` before, in groups; no more is read until it resolves.
   *
   * @throws what broke the run off; of a tracked sequence only one message tells, the rest passes without a word. The
   *   signal's reason, at once, when it is aborted: the run is broken off then, too
   */
  async take(
    message: Message,
    read: ReadMessage,
    signal: AbortSignal,
    onRejected: OnRejected,
  ): Promise<Taken> {
    const place = placeOf(message, this.#nodeId);
    const broken = place.id === undefined ? undefined : this.#brokenOff.get(place.id);
    if (broken && !place.mark) throw broken.reason;
    if (broken || this.#isLate(place)) return NOTHING_TAKEN;
    // What cannot be read breaks the run off where the rest of its sequence would wait for it in vain.
    const isWaitedFor = place.id !== undefined && place.mark === undefined;
    const reads = isWaitedFor ? read : alreadyRead(read);
    const gathering = this.#gatheringOf(message, place);
    gathering.count ??= place.count;
    try {
      const taken = await orAborted(
        signal,
        this.#inTurn(gathering, () => this.#write(gathering, message, reads, onRejected)),
      );
      gathering.received += 1;
      if (isWhole(gathering)) this.#finish(gathering);
      if (!gathering.tracked) await orAborted(signal, gathering.finishing ?? (await gathering.run).loaded);
      return taken;
    } catch (error) {
      const known = gathering.failed;
      const ended = this.#breakOff(gathering, error);
      if (!signal.aborted) await ended;
      if (known && gathering.tracked) return NOTHING_TAKEN;
      throw error;
    }
  }

  /**
   * Breaks off the run whose rows are being loaded, and does nothing where none are: closed jobs go on, rows in no closed job
   * stay READY, and whoever waits for them, or brings the next, hears `reason`.
   */
  async breakOff(reason: LoadError): Promise<void> {
    const run = await this.#run;
    await run?.breakOff(reason);
  }

  /** Its sequence broke off while it was on its way, and has said so: it begins no run of its own. */
  #isLate({ mark }: Place): boolean {
    return mark !== undefined && !this.#gatherings.has(mark.id) && sequenceState(mark.id) === 'broken-off';
  }

  #gatheringOf(message: Message, { id, mark }: Place): Gathering {
    const known = id === undefined ? undefined : this.#gatherings.get(id);
    if (known) return known;
    const { openedAt } = mark ?? sequenceMark(message) ?? {};
    const carried = carriedBy(message);
    const run = this.#load.beginRun({ openedAt, carried });
    // One that is refused leaves the run before as it is.
    const before = this.#run;
    this.#run = run.catch(() => before);
    const gathering: Gathering = {
      id,
      run,
      tracked: mark !== undefined,
      carried,
      rejected: undefined,
      received: 0,
      count: undefined,
      turn: run,
      failed: false,
      finishing: undefined,
      stopListening: () => {},
    };
    if (id !== undefined) this.#gatherings.set(id, gathering);
    if (mark) {
      gathering.stopListening = onSequenceOver(mark.id, (state, error) => {
        if (state === 'over') this.#finish(gathering);
        else void this.#breakOff(gathering, error ?? brokenOff());
      });
    }
    return gathering;
  }

  async #write(
    gathering: Gathering,
    message: Message,
    read: ReadMessage,
    onRejected: OnRejected,
  ): Promise<Taken> {
    const run = await gathering.run;
    const { rows, spec } = read();
    gathering.rejected ??= new RejectedRecords(run.id);
    const { rejected } = gathering;
    const runId = run.id;
    const asFailures = (refused: Rejected[]) => refused.map((one) => rejected.asFailure(one));
    if ('records' in rows) {
      const refused = await run.write(rows.records, spec, claimOf(message, rows.records));
      return { runId, rejected: asFailures(refused) };
    }
    await run.writeCsv(rows.csv, spec, (group) =>
      onRejected({ ...group, runId, rejected: asFailures(group.rejected) }),
    );
    return { runId, rejected: [] };
  }

  /** In the background: no batch of a tracked sequence waits for the end of the upload, so Catch nodes hear of a failure. */
  #finish(gathering: Gathering): void {
    if (gathering.finishing || gathering.failed) return;
    this.#forget(gathering);
    gathering.finishing = this.#inTurn(gathering, async () => (await gathering.run).finish());
    gathering.finishing.catch((error) => {
      const known = gathering.failed;
      void this.#breakOff(gathering, error);
      if (gathering.tracked && !known) this.#onBackgroundError(error, gathering.carried);
    });
  }

  async #breakOff(gathering: Gathering, reason: unknown): Promise<void> {
    if (gathering.failed) return;
    gathering.failed = true;
    const hasMore = this.#forget(gathering) && gathering.count !== 1;
    if (hasMore && gathering.id !== undefined) this.#rememberBrokenOff(gathering.id, reason);
    const run = await gathering.run.catch(() => undefined);
    // What cannot even be written down is found by the next run: its rows are READY, its jobs in the ledger.
    await run?.breakOff(reason).catch(() => {});
  }

  #inTurn<T>(gathering: Gathering, work: () => Promise<T>): Promise<T> {
    const result = gathering.turn.then(work);
    gathering.turn = result.catch(() => {});
    return result;
  }

  /** Takes no more messages in. False: it did not any more. */
  #forget(gathering: Gathering): boolean {
    const { id, stopListening } = gathering;
    stopListening();
    return id !== undefined && this.#gatherings.get(id) === gathering && this.#gatherings.delete(id);
  }

  #rememberBrokenOff(id: string, reason: unknown): void {
    this.#brokenOff.set(id, { reason });
    const [oldest] = this.#brokenOff.keys();
    if (this.#brokenOff.size > MOST_REMEMBERED && oldest !== undefined) this.#brokenOff.delete(oldest);
  }
}

function isWhole({ received, count }: Gathering): boolean {
  return count !== undefined && received >= count;
}

function alreadyRead(read: ReadMessage): ReadMessage {
  const given = read();
  return () => given;
}

/** A mark of which this process knows nothing (another one's, by way of a queue) has no sender here that would end it. */
function placeOf(message: Message, nodeId: string): Place {
  const mark = gatheredMark(message, nodeId);
  if (mark && isKnown(mark)) return { id: mark.id, count: undefined, mark };
  const { id, count } = (message.parts ?? {}) as { id?: unknown; count?: unknown };
  if (typeof id !== 'string') return { id: undefined, count: 1, mark: undefined };
  return { id, count: Number.isSafeInteger(count) ? Number(count) : undefined, mark: undefined };
}

/**
 * What another node rejects is one sequence for each of its messages, and one run here. What this node rejects it waits for
 * until that is through: it is refused as any second run, and does not wait for the first one in vain.
 */
function gatheredMark(message: Message, nodeId: string): SequenceMark | undefined {
  let mark = sequenceMark(message);
  while (mark?.outer && mark.rejectedBy !== undefined && mark.rejectedBy !== nodeId && isKnown(mark.outer))
    mark = mark.outer;
  return mark;
}

function isKnown({ id }: SequenceMark): boolean {
  return sequenceState(id) !== undefined;
}

/** Records that were added or taken out on the way leave no telling which letter is whose. */
function claimOf(message: Message, records: readonly SourceRecord[]): SentClaim | undefined {
  const { id, letters } = (message.claim ?? {}) as { id?: unknown; letters?: unknown };
  if (typeof id !== 'string') return undefined;
  const isTold = Array.isArray(letters) && letters.length === records.length;
  return { id, letters: isTold ? letters.map(String) : undefined };
}

function brokenOff(): LoadError {
  return loadError('LOAD_BROKEN_OFF', 'batchesBrokenOff');
}
