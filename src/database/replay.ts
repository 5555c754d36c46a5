import type { Clock } from '../clock.ts';
import { LoadError } from '../errors.ts';
import type { SourceRecord } from '../record.ts';
import { ClaimOwner } from './claim-owner.ts';
import { deadLetterTable } from './dead-letter-table.ts';
import type { LetterRange } from './ledger/job-ledger.ts';
import type { Database } from './pool.ts';
import * as sql from './replay-sql.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';

/** Which dead letters to send again; undefined: any. */
export interface ReplayFilter {
  category: string | undefined;
  errorCode: string | undefined;
  jobId: string | undefined;
}

/** Letters taken out of everybody else's reach: of one object, operation and external id field, so that they fit in one job. */
export interface Claim {
  id: string;
  object: string;
  operation: string;
  externalIdField: string | null;
  records: SourceRecord[];
  /** The id of each record's letter. */
  letters: string[];
}

interface Group {
  object: string;
  operation: string;
  external_id_field: string | null;
}

interface ClaimedLetter {
  id: string;
  record_data: SourceRecord;
}

/** How far one pass over the letters has come. */
interface Pass {
  /** The newest letter there was when it began: what fails again meanwhile is for the next pass. */
  newest: string;
  groups: Group[];
  /** The last letter taken of the first group. */
  after: string;
}

/**
 * Sends dead letters again. They are claimed (`dead` to `replaying`) before they are sent, so that several replays share them
 * (SKIP LOCKED) and none is in two claims; a claim is settled (`replayed`, with an attempt more) or released (`dead` again)
 * when it is known what became of its records. Letters stay in the table as evidence. Everything waits for a database that
 * is away.
 */
export class Replay {
  readonly #db: Database;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #owner: ClaimOwner;
  readonly #passes = new WeakMap<ReplayFilter, Pass>();

  constructor(db: Database, table: string, clock: Clock) {
    this.#db = db;
    this.#name = table;
    this.#clock = clock;
    this.#owner = new ClaimOwner(db, clock);
  }

  /** @throws LoadError CONFIG_INVALID when the table cannot be replayed: it is missing, or has the MuleSoft flow's columns only */
  async check(): Promise<void> {
    await this.#patiently(async () => undefined);
  }

  /**
   * The next letters, at most `size`, oldest first within their group; undefined when none is left. Every claim must be
   * settled or released. Calls with one and the same filter object are one pass, in which each letter comes at most once,
   * whatever becomes of it meanwhile.
   */
  async claim(filter: ReplayFilter, size: number, signal?: AbortSignal): Promise<Claim | undefined> {
    const pass = await this.#pass(filter, signal);
    for (let [group] = pass.groups; group !== undefined; [group] = pass.groups) {
      const { object, operation, external_id_field: externalIdField } = group;
      const place = [pass.newest, object, operation, externalIdField, pass.after, size];
      const { id, letters } = await this.#take([...valuesOf(filter), ...place], signal);
      const last = letters.at(-1);
      if (last !== undefined) {
        pass.after = last.id;
        return {
          id,
          object,
          operation,
          externalIdField,
          records: letters.map(({ record_data }) => record_data),
          letters: letters.map(({ id: letter }) => letter),
        };
      }
      pass.groups.shift();
      pass.after = '0';
    }
    return undefined;
  }

  /** The records are in jobs that are settled; those that failed again are letters of their own. */
  async settle(claimId: string): Promise<void> {
    await this.#patiently((table) => this.#db.query(sql.settle(table), [claimId]));
    this.#owner.end(claimId);
  }

  /** The same for some of its letters; the others were not loaded, and may be claimed again. */
  async settlePart(claimId: string, loaded: readonly LetterRange[]): Promise<void> {
    const [firsts, pasts] = [loaded.map(([first]) => first), loaded.map(([, past]) => past)];
    await this.#patiently((table) => this.#db.query(sql.settlePart(table), [claimId, firsts, pasts]));
    await this.release(claimId);
  }

  /** Letters of a claim, while it has not ended. */
  async lettersOf(claimId: string): Promise<{ id: string; record: SourceRecord }[]> {
    const { rows } = await this.#patiently((table) => {
      return this.#db.query<ClaimedLetter & object>(sql.claimed(table), [claimId]);
    });
    return rows.map(({ id, record_data }) => ({ id, record: record_data }));
  }

  /** Letters that were not loaded, out of a claim that goes on: they may be claimed again. Returns how many were in it. */
  async giveBack(claimId: string, letters: readonly string[]): Promise<number> {
    if (letters.length === 0) return 0;
    const { rowCount } = await this.#patiently((table) =>
      this.#db.query(sql.giveBack(table), [claimId, letters]),
    );
    return rowCount ?? 0;
  }

  /** None of the records was loaded: the letters may be claimed again. */
  async release(claimId: string): Promise<void> {
    await this.#patiently((table) => this.#db.query(sql.release(table), [claimId]));
    this.#owner.end(claimId);
  }

  /**
   * Claims that have not ended, oldest first; the ledger knows what became of each. Left out are those of another replay
   * that is at work, here or in another process.
   */
  async openClaims(): Promise<string[]> {
    const { rows } = await this.#patiently((table) => {
      return this.#db.query<{ claim_id: string }>(sql.openClaims(table), [this.#owner.name]);
    });
    return rows.map(({ claim_id }) => claim_id);
  }

  /** Made by this replay, in this process. */
  isOwn(claimId: string): boolean {
    return claimId.startsWith(`${this.#owner.name}.`);
  }

  /** Claims of ours that have not ended are left to others. */
  close(): void {
    this.#owner.close();
  }

  async #pass(filter: ReplayFilter, signal: AbortSignal | undefined): Promise<Pass> {
    const known = this.#passes.get(filter);
    if (known !== undefined) return known;
    const pass = await this.#patiently(async (table) => {
      const { rows } = await this.#db.query<{ newest: string }>(sql.newest(table), [], signal);
      const newest = rows[0]?.newest ?? '0';
      const groups = await this.#db.query<Group & object>(
        sql.groups(table),
        [...valuesOf(filter), newest],
        signal,
      );
      return { newest, groups: groups.rows, after: '0' };
    }, signal);
    this.#passes.set(filter, pass);
    return pass;
  }

  /** The answer may be lost: before the claim is repeated, the letters that it got are looked for. */
  async #take(
    values: unknown[],
    signal: AbortSignal | undefined,
  ): Promise<{ id: string; letters: ClaimedLetter[] }> {
    const id = await this.#owner.newClaim(signal);
    let isRepeated = false;
    const taking = this.#patiently(async (table) => {
      const query = (text: string, given: unknown[]) =>
        this.#db.query<ClaimedLetter & object>(text, given, signal);
      const taken = isRepeated ? (await query(sql.claimed(table), [id])).rows : [];
      isRepeated = true;
      return taken.length > 0 ? taken : (await query(sql.claim(table), [...values, id])).rows;
    }, signal);
    // One that is broken off may have taken all the same.
    taking.catch(() => this.release(id).catch(() => this.#owner.end(id)));
    const letters = await taking;
    if (letters.length === 0) this.#owner.end(id);
    return { id, letters };
  }

  #patiently<T>(fn: (table: string) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return retryWhileUnavailable(async () => fn(await this.#table()), { clock: this.#clock, signal });
  }

  async #table(): Promise<string> {
    const { table, isMule } = await deadLetterTable(this.#db, this.#name, false);
    if (!isMule) return table;
    throw new LoadError(
      'CONFIG_INVALID',
      `Table ${this.#name} has the columns of the MuleSoft flow only: nobody knows where its records were to go, so they cannot ` +
        'be replayed. Name a table that the dead-letter node made.',
    );
  }
}

function valuesOf({ category, errorCode, jobId }: ReplayFilter): (string | null)[] {
  return [category ?? null, errorCode ?? null, jobId ?? null];
}
