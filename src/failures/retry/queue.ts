import { MOST_IN_COMPANY, type RetryItem } from './item.ts';

/** The items that may share a call: same verb, same care, same size. */
const groupOf = (item: RetryItem) => `${item.verb} ${item.fragile} ${item.company}`;

interface Group {
  ready: RetryItem[];
  identities: Set<string>;
  /** Latest moment at which a member comes due that is not due yet. */
  lastDueAt: number;
}

/**
 * Records that wait for their call. Hands out calls such that no two in flight share a locked row, no record is twice in
 * one, and none leaves before it is due. A company waits for its last member to come due, unless it is full before:
 * jitter must not fray one call into many.
 */
export class RetryQueue {
  #waiting: RetryItem[] = [];
  readonly #locked = new Map<string, number>();

  get size(): number {
    return this.#waiting.length;
  }

  add(items: readonly RetryItem[]): void {
    this.#waiting.push(...items);
  }

  /** Everything that waits, taken out. */
  drain(): RetryItem[] {
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  /** The items of the next call, taken out and their rows locked; undefined when none may leave now. */
  next(now: number): RetryItem[] | undefined {
    const items = this.#choose(now);
    if (!items) return undefined;
    const chosen = new Set(items);
    this.#waiting = this.#waiting.filter((item) => !chosen.has(item));
    for (const item of items) this.#lock(item, 1);
    return items;
  }

  /** The call has come back. */
  release(items: readonly RetryItem[]): void {
    for (const item of items) this.#lock(item, -1);
  }

  /** When it is worth asking again, by time alone; undefined when nothing waits for time. */
  nextDueAt(now: number): number | undefined {
    const moments: number[] = [];
    const groups = new Map<string, number>();
    for (const item of this.#waiting.filter(({ dueAt }) => dueAt > now)) {
      if (item.alone) moments.push(item.dueAt);
      else groups.set(groupOf(item), Math.max(item.dueAt, groups.get(groupOf(item)) ?? 0));
    }
    return [...moments, ...groups.values()].reduce<number | undefined>(
      (first, at) => (first === undefined ? at : Math.min(first, at)),
      undefined,
    );
  }

  #choose(now: number): RetryItem[] | undefined {
    const groups = new Map<string, Group>();
    for (const item of this.#waiting) {
      const due = item.dueAt <= now;
      if (item.alone) {
        if (due && this.#isFree(item)) return [item];
        continue;
      }
      const group = groupFor(groups, item);
      if (!due) group.lastDueAt = Math.max(group.lastDueAt, item.dueAt);
      else if (this.#isFree(item) && join(group, item)) return group.ready;
    }
    return [...groups.values()].find((group) => group.ready.length > 0 && group.lastDueAt === 0)?.ready;
  }

  #isFree(item: RetryItem): boolean {
    return item.locks.every((lock) => !this.#locked.has(lock));
  }

  #lock(item: RetryItem, by: 1 | -1): void {
    for (const lock of item.locks) {
      const count = (this.#locked.get(lock) ?? 0) + by;
      if (count > 0) this.#locked.set(lock, count);
      else this.#locked.delete(lock);
    }
  }
}

function groupFor(groups: Map<string, Group>, item: RetryItem): Group {
  const name = groupOf(item);
  const known = groups.get(name);
  if (known) return known;
  const made = { ready: [], identities: new Set<string>(), lastDueAt: 0 };
  groups.set(name, made);
  return made;
}

/** True when the group is full with this item. One that is in it already waits for the next call. */
function join(group: Group, item: RetryItem): boolean {
  if (item.identity !== undefined) {
    if (group.identities.has(item.identity)) return false;
    group.identities.add(item.identity);
  }
  group.ready.push(item);
  return group.ready.length >= Math.min(item.company, MOST_IN_COMPANY);
}
