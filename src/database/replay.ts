import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { LoadError } from '../errors.ts';
import type { SourceRecord } from '../record.ts';
import { describeTable } from './describe-tables.ts';
import { parseTableName, quoteTable } from './identifiers.ts';
import type { Database } from './pool.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';

/** Which dead letters to send again; undefined: any. */
export interface ReplayFilter {
  category: string | undefined;
  errorCode: string | undefined;
  jobId: string | undefined;
}

/** Records of one batch, all for the same object and operation, taken out of everybody else's reach. */
export interface Claim {
  id: string;
  object: string;
  operation: string;
  externalIdField: string | null;
  records: SourceRecord[];
}

interface Group {
  object: string;
  operation: string;
  external_id_field: string | null;
}

const FILTER = `status = 'dead' AND object IS NOT NULL AND operation IS NOT NULL
  AND ($1::text IS NULL OR error_category = $1) AND ($2::text IS NULL OR error_code = $2)
  AND ($3::text IS NULL OR job_id = $3)`;

/**
 * Sends dead letters again: claims them, and says at the end whether they were loaded. Two replays at once share the letters
 * (SKIP LOCKED), and none is in two claims.
 */
export class Replay {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #table: string;

  /** @throws LoadError CONFIG_INVALID for a name that names no table */
  constructor(db: Database, table: string, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.#name = table;
    this.#table = quoteTable(parseTableName(table));
  }

  /** @throws LoadError CONFIG_INVALID when the table cannot be replayed: it is missing, or the Mule flow's four columns */
  async check(): Promise<void> {
    const names = new Set((await describeTable(this.#db, this.#name)).map(({ name }) => name));
    if (names.has('claim_id') && names.has('key')) return;
    const why = names.size === 0 ? 'does not exist' : 'has no claim_id, so its letters cannot be claimed';
    throw new LoadError(
      'CONFIG_INVALID',
      `Table ${this.#name} ${why}; only a table made by the dead-letter node can be replayed.`,
    );
  }

  /** The next letters, at most `size`, oldest first; undefined when none is left. */
  async claim(filter: ReplayFilter, size: number, signal: AbortSignal): Promise<Claim | undefined> {
    const id = randomUUID();
    const given = [filter.category ?? null, filter.errorCode ?? null, filter.jobId ?? null];
    for (;;) {
      const group = await this.#nextGroup(given, signal);
      if (!group) return undefined;
      const records = await this.#take(id, given, group, size, signal);
      const { object, operation, external_id_field: externalIdField } = group;
      if (records.length > 0) return { id, object, operation, externalIdField, records };
    }
  }

  /** Its records were loaded, or failed again as letters of their own. The row stays as evidence. */
  async settle(claimId: string): Promise<void> {
    await this.#end(
      `UPDATE ${this.#table} SET status = 'replayed', changed_at = clock_timestamp(),
         attempts = attempts || jsonb_build_array(jsonb_build_object('at', clock_timestamp(), 'via', 'replay', 'claimId', claim_id))
       WHERE claim_id = $1 AND status = 'replaying'`,
      claimId,
    );
  }

  /** None of its records was loaded: they may be claimed again. */
  async release(claimId: string): Promise<void> {
    await this.#end(
      `UPDATE ${this.#table} SET status = 'dead', claim_id = NULL, changed_at = clock_timestamp()
       WHERE claim_id = $1 AND status = 'replaying'`,
      claimId,
    );
  }

  /** Claims that have not ended. */
  async openClaims(): Promise<string[]> {
    const { rows } = await this.#db.query<{ claim_id: string }>(
      `SELECT DISTINCT claim_id FROM ${this.#table} WHERE status = 'replaying' AND claim_id IS NOT NULL`,
    );
    return rows.map(({ claim_id }) => claim_id);
  }

  /** Letters that another replay is claiming just now are passed over, so the group that comes first may be empty. */
  async #nextGroup(given: (string | null)[], signal: AbortSignal): Promise<Group | undefined> {
    const { rows } = await this.#db.query<Group>(
      `SELECT object, operation, external_id_field FROM ${this.#table} WHERE ${FILTER}
       ORDER BY object, operation, external_id_field, id LIMIT 1 FOR UPDATE SKIP LOCKED`,
      given,
      signal,
    );
    return rows[0];
  }

  async #take(
    claimId: string,
    given: (string | null)[],
    group: Group,
    size: number,
    signal: AbortSignal,
  ): Promise<SourceRecord[]> {
    const { rows } = await this.#db.query<{ record_data: SourceRecord }>(
      `WITH taken AS (
         SELECT id FROM ${this.#table} WHERE ${FILTER}
           AND object = $4 AND operation = $5 AND external_id_field IS NOT DISTINCT FROM $6
         ORDER BY id LIMIT $7 FOR UPDATE SKIP LOCKED),
       claimed AS (
         UPDATE ${this.#table} AS letter SET status = 'replaying', claim_id = $8, changed_at = clock_timestamp()
         FROM taken WHERE letter.id = taken.id RETURNING letter.id, letter.record_data)
       SELECT record_data FROM claimed ORDER BY id`,
      [...given, group.object, group.operation, group.external_id_field, size, claimId],
      signal,
    );
    return rows.map(({ record_data }) => record_data);
  }

  async #end(statement: string, claimId: string): Promise<void> {
    await retryWhileUnavailable(() => this.#db.query(statement, [claimId]), {
      clock: this.#clock,
      maxMs: 600_000,
    });
  }
}
