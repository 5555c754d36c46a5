import type { Mark, ObjectModel } from '../model/types.ts';
import { type RowFault, rowFault } from './faults.ts';
import type { Draft, SaveContext } from './save.ts';

/** Marked records whose first Bulk try is remembered; beyond it the memory starts afresh, so that it stays bounded. */
const MEMORY = 1_000_000;

/** Decides which records of a chunk are struck by the mark they carry, and remembers whose first try has been. */
export class MarkMemory {
  readonly #tried = new Set<string>();

  clear(): void {
    this.#tried.clear();
  }

  /** One fault or undefined for each draft. */
  strike(context: SaveContext, drafts: readonly Draft[]): (RowFault | undefined)[] {
    const { object } = context;
    const marks = object.marks ?? [];
    if (marks.length === 0 || context.operation === 'delete' || context.operation === 'hardDelete') {
      return [];
    }
    const carried = drafts.map((draft) => carriedMark(marks, draft));
    if (carried.every((mark) => mark === undefined)) {
      return [];
    }
    const whole = carried.find(
      (carrier) => carrier && this.#strikesWhole(context, carrier.mark, drafts.length),
    );
    if (whole) {
      return drafts.map(() => faultOf(whole.mark));
    }
    return carried.map((carrier) =>
      carrier && this.#strikes(context, carrier, countOf(carried, carrier.mark))
        ? faultOf(carrier.mark)
        : undefined,
    );
  }

  #strikesWhole(context: SaveContext, mark: Mark, size: number): boolean {
    return mark.scope === 'whole-chunk' && inCompany(context, size);
  }

  #strikes(context: SaveContext, { mark, value }: Carrier, carriers: number): boolean {
    switch (mark.scope) {
      case 'always':
        return true;
      case 'in-company':
        return inCompany(context, carriers);
      case 'bulk-first-try':
        return context.api === 'bulk' && this.#isFirstTry(context.object, value);
      default:
        return false;
    }
  }

  #isFirstTry(object: ObjectModel, value: string): boolean {
    const key = `${object.name}\u0000${value}`;
    if (this.#tried.has(key)) {
      return false;
    }
    if (this.#tried.size >= MEMORY) {
      this.#tried.clear();
    }
    this.#tried.add(key);
    return true;
  }
}

interface Carrier {
  mark: Mark;
  value: string;
}

/** Bulk saves chunks of 200, so a record is never alone there; a REST call is alone with one. */
const inCompany = (context: SaveContext, count: number): boolean => context.api === 'bulk' || count > 1;

const faultOf = (mark: Mark): RowFault => rowFault(mark.code, mark.message, mark.errorFields ?? []);

const countOf = (carried: readonly (Carrier | undefined)[], mark: Mark): number =>
  carried.filter((carrier) => carrier?.mark === mark).length;

function carriedMark(marks: readonly Mark[], draft: Draft): Carrier | undefined {
  for (let i = 0; i < draft.fields.length; i++) {
    const value = draft.values[i];
    if (!value?.includes('-')) {
      continue;
    }
    const name = draft.fields[i]?.name;
    const mark = marks.find((each) => each.field === name && value.includes(each.contains));
    if (mark) {
      return { mark, value };
    }
  }
  return undefined;
}
