import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Database } from './pool.ts';
import { retryWhileUnavailable } from './retry-while-unavailable.ts';
import type { Session } from './session.ts';

/** The number of an owner's advisory lock, from the expression for its name. */
const numberOf = (name: string): string => `hashtextextended('sf_sync replay ' || ${name}, 0)`;

/** Of the claim in `claim_id`: whoever made it still lives. Claims of owner `$1` are left to it. */
export const IS_ANOTHERS_LIVE_CLAIM = `
  split_part(claim_id, '.', 1) <> $1 AND EXISTS (
    SELECT FROM pg_locks AS l, ${numberOf("split_part(claim_id, '.', 1)")} AS number
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid::bigint = (number >> 32) & 4294967295 AND l.objid::bigint = number & 4294967295)`;

/**
 * Who makes claims, for others to see whether it still lives: while it has claims that have not ended, it holds an advisory
 * lock. Between a claim and the job that takes its records nothing else tells a replay at work from one that died.
 */
export class ClaimOwner {
  readonly name = randomBytes(6).toString('hex');
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #claims = new Set<string>();
  #number = 0;
  #alive: { session: Promise<Session>; over: AbortController } | undefined;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** The id of a claim that may be made now. Its owner is in front of the dot. */
  async newClaim(signal?: AbortSignal): Promise<string> {
    this.#number += 1;
    const claimId = `${this.name}.${this.#number}`;
    this.#claims.add(claimId);
    this.#alive ??= this.#live();
    try {
      await this.#alive.session;
      signal?.throwIfAborted();
      return claimId;
    } catch (error) {
      this.end(claimId);
      throw error;
    }
  }

  end(claimId: string): void {
    this.#claims.delete(claimId);
    if (this.#claims.size === 0) this.close();
  }

  /** Leaves its claims to others. */
  close(): void {
    const alive = this.#alive;
    this.#alive = undefined;
    alive?.over.abort();
  }

  #live(): { session: Promise<Session>; over: AbortController } {
    const over = new AbortController();
    const session = this.#lock(over.signal);
    this.#keep(session, over.signal).catch(() => {
      // The first failure is told to whoever asked for a claim; later ones repeat what their statements say.
      if (!over.signal.aborted) this.close();
    });
    return { session, over };
  }

  /** The lock is taken again whenever its connection breaks. */
  async #keep(first: Promise<Session>, over: AbortSignal): Promise<void> {
    for (let session = await first; ; session = await this.#lock(over)) {
      const end = AbortSignal.any([session.lost, over]);
      if (!end.aborted)
        await new Promise((resolve) => end.addEventListener('abort', resolve, { once: true }));
      if (!over.aborted) continue;
      await session.close();
      return;
    }
  }

  #lock(over: AbortSignal): Promise<Session> {
    const take = async () => {
      const session = await this.#db.openSession(`replay ${this.name}`, over);
      try {
        await session.query(`SELECT pg_advisory_lock_shared(${numberOf('$1::text')})`, [this.name]);
        return session;
      } catch (error) {
        session.destroy();
        throw error;
      }
    };
    return retryWhileUnavailable(take, { clock: this.#clock, signal: over });
  }
}
