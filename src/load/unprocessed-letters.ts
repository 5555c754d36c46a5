import type { ClaimLetters, JobLedger, LedgerJob } from '../database/ledger/job-ledger.ts';
import type { Logger } from '../log.ts';
import { orAborted } from '../time-limit.ts';
import { claims } from './claims.ts';
import { RecordBag } from './record-bag.ts';
import type { JobResults } from './results.ts';

/** Unprocessed records that are read at once. */
const BATCH_ROWS = 1000;

/**
 * What jobs hold of a replay's letters and Salesforce did not get to is the replay's again. Which letters these are is noted
 * before one is given back, and not sought again: of two equal letters a second reading of the results would find the other
 * one, which was loaded. Whoever dies in between leaves the note, by which the next reading gives back the same ones: none
 * is lost, and none loaded twice. Where it errs is a replay whose node was not there for the note: its letters count as
 * loaded, which the log says.
 */
export class UnprocessedLetters {
  readonly #ledger: JobLedger;
  readonly #log: Logger;
  #last: Promise<unknown> = Promise.resolve();

  constructor(ledger: JobLedger, log: Logger) {
    this.#ledger = ledger;
    this.#log = log;
  }

  /** What a replay's database is asked goes on where the signal is aborted; it may be away for long. */
  async giveBack(results: JobResults, signal: AbortSignal): Promise<void> {
    const { job, counts } = results;
    const known = counts.unprocessed > 0 ? await this.#ledger.findJob(job.id) : undefined;
    if (!known || known.claimIds.length === 0) return;
    const letters = known.givenBack ?? (await orAborted(signal, this.#noteInTurn(known, results, signal)));
    await orAborted(signal, claims.giveBack(letters));
  }

  /** One job after the other: each has to know which letters the one before has noted. */
  #noteInTurn(known: LedgerJob, results: JobResults, signal: AbortSignal): Promise<ClaimLetters[]> {
    const noted = this.#last.then(() => {
      signal.throwIfAborted();
      return this.#note(known, results, signal);
    });
    this.#last = noted.catch(() => {});
    return noted;
  }

  async #note(known: LedgerJob, results: JobResults, signal: AbortSignal): Promise<ClaimLetters[]> {
    const { id } = known.job;
    const bag = new RecordBag(known.job.columns);
    for await (const rows of results.rows('unprocessedrecords', BATCH_ROWS, signal))
      for (const row of rows) bag.add(row);
    const letters = await claims.lettersOf(known.claimIds, bag, await this.#notedBeside(known));
    if (bag.size > 0) {
      this.#log.warn(
        `Job ${id}: ${bag.size} records that Salesforce did not process are those of no letter that is being replayed, ` +
          'so no letter was given back for them.',
      );
    }
    // As long as none is found the next reading may, when the replay's node is there again.
    return letters.length === 0 ? letters : this.#ledger.noteGivenBack(id, letters);
  }

  /** Letters that other jobs of the run have noted, perhaps not given back yet: an equal one of ours is another. */
  async #notedBeside({ runId, job }: LedgerJob): Promise<Set<string>> {
    const jobs = await this.#ledger.jobsOfRun(runId);
    const others = jobs.filter((known) => known.job.id !== job.id);
    return new Set(others.flatMap(({ givenBack }) => givenBack ?? []).flatMap(({ letters }) => letters));
  }
}
