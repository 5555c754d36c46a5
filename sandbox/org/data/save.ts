import type { Field, ObjectModel } from '../model/types.ts';
import { type RowFault, rowFault } from './faults.ts';
import type { MarkMemory } from './marks.ts';
import { RecordRules, valueIn } from './rules.ts';
import type { Store } from './store.ts';
import type { Value } from './table.ts';

export type Operation = 'insert' | 'update' | 'upsert' | 'delete' | 'hardDelete';

/** A record on its way in: values in stored form for the fields, in the same order. */
export interface Draft {
  fields: readonly Field[];
  values: Value[];
  /** The record's id (update, delete, upsert by Id). */
  id?: string;
  /** The external id's value (upsert). */
  key?: string;
  /** Faults found while the values were read; such a record is not saved. */
  faults: RowFault[];
}

export interface Saved {
  id: string;
  created: boolean;
}

export type Outcome = { saved: Saved } | { faults: RowFault[]; id: string };

/** How a chunk is saved. A chunk is one transaction: up to 200 records of Bulk, or the records of one REST call. */
export interface SaveContext {
  api: 'bulk' | 'single' | 'collections';
  object: ObjectModel;
  operation: Operation;
  externalIdField?: Field | undefined;
  /** Owner by an assignment rule. */
  ownerId?: string | undefined;
  /** True when another batch holds this parent. Notes the parent as held by this one. */
  isLocked?: (parentId: string) => boolean;
}

export interface SaveLimits {
  now: () => number;
  storageLimit: number;
}

export type Undo = () => void;

const ROLLED_BACK = rowFault(
  'ALL_OR_NONE_OPERATION_ROLLED_BACK',
  'Record rolled back because not all records were valid and the request was using AllOrNone header',
);

/** Undoes a call of which one record failed, when the caller wants all or none (reference §8). */
export function rolledBack(outcomes: readonly Outcome[], undo: readonly Undo[]): Outcome[] {
  for (const step of [...undo].reverse()) {
    step();
  }
  return outcomes.map((outcome) => ('faults' in outcome ? outcome : { faults: [ROLLED_BACK], id: '' }));
}

/** Saves chunks of records by the rules of the org's model. */
export class Saver {
  readonly #store: Store;
  readonly #marks: MarkMemory;
  readonly #limits: SaveLimits;
  readonly #rules: RecordRules;

  constructor(store: Store, marks: MarkMemory, limits: SaveLimits) {
    this.#store = store;
    this.#marks = marks;
    this.#limits = limits;
    this.#rules = new RecordRules(store, limits.now);
  }

  /** Saves one chunk. The steps that would undo it are added to `undo`. */
  save(context: SaveContext, drafts: readonly Draft[], undo: Undo[] = []): Outcome[] {
    const struck = this.#marks.strike(context, drafts);
    const repeated = repeatedKeys(context, drafts);
    return drafts.map((draft, i): Outcome => {
      const early =
        draft.faults.length > 0 ? draft.faults : (struck[i] ?? repeatedKeyFault(context, draft, repeated));
      return early ? { faults: asList(early), id: draft.id ?? '' } : this.#saveOne(context, draft, undo);
    });
  }

  #saveOne(context: SaveContext, draft: Draft, undo: Undo[]): Outcome {
    switch (context.operation) {
      case 'insert':
        return this.#insert(context, draft, undo);
      case 'upsert':
        return this.#upsert(context, draft, undo);
      case 'update':
        return this.#withExisting(context, draft, (serial) => this.#update(context, draft, serial, undo));
      default:
        return this.#withExisting(context, draft, (serial) => this.#delete(context, serial, undo));
    }
  }

  #upsert(context: SaveContext, draft: Draft, undo: Undo[]): Outcome {
    const field = context.externalIdField;
    if (!field || field.name === 'Id') {
      return draft.id
        ? this.#withExisting(context, draft, (serial) => this.#update(context, draft, serial, undo))
        : this.#insert(context, draft, undo);
    }
    if (!draft.key) {
      return fail(rowFault('MISSING_ARGUMENT', `${field.name} not specified`, [field.name]));
    }
    const matches = this.#store.table(context.object).find(field, draft.key);
    const [serial, second] = matches;
    if (serial === undefined) {
      return this.#insert(context, draft, undo);
    }
    if (second !== undefined) {
      const ids = matches.map((match) => this.#store.idOf(context.object, match)).join(', ');
      const message = `${field.label}: more than one record found for external id field: [${ids}]`;
      return fail(rowFault('DUPLICATE_EXTERNAL_ID', message));
    }
    return this.#update(context, draft, serial, undo);
  }

  #withExisting(context: SaveContext, draft: Draft, then: (serial: number) => Outcome): Outcome {
    const id = draft.id ?? '';
    if (id === '') {
      const verb = context.operation === 'upsert' ? 'update' : context.operation;
      return fail(
        rowFault('MISSING_ARGUMENT', `Id not specified in ${verb === 'update' ? 'an' : 'a'} ${verb} call`),
      );
    }
    if (!/^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$/.test(id)) {
      return fail(rowFault('MALFORMED_ID', `bad id ${id}`), id);
    }
    const located = this.#store.locate(context.object, id);
    if (!located) {
      return fail(rowFault('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id'), id);
    }
    if (located.table.isDeleted(located.serial)) {
      return fail(rowFault('ENTITY_IS_DELETED', 'entity is deleted'), id);
    }
    return then(located.serial);
  }

  #insert(context: SaveContext, draft: Draft, undo: Undo[]): Outcome {
    const table = this.#store.table(context.object);
    const fault = this.#rules.check(context, draft, undefined);
    if (fault.length > 0) {
      return { faults: fault, id: '' };
    }
    if (Number.isFinite(this.#limits.storageLimit) && this.#store.size >= this.#limits.storageLimit) {
      return fail(rowFault('STORAGE_LIMIT_EXCEEDED', 'storage limit exceeded'));
    }
    const owned = withOwner(context, draft);
    const serial = table.insert(owned.fields, owned.values, this.#limits.now());
    table.rememberForDuplicates(serial, valueIn(draft));
    undo.push(() => table.purge(serial));
    return { saved: { id: this.#store.idOf(context.object, serial), created: true } };
  }

  #update(context: SaveContext, draft: Draft, serial: number, undo: Undo[]): Outcome {
    const table = this.#store.table(context.object);
    const id = this.#store.idOf(context.object, serial);
    const faults = this.#rules.check(context, draft, serial);
    if (faults.length > 0) {
      return { faults, id };
    }
    const before = table.snapshot(serial);
    undo.push(() =>
      table.restore(serial, before, (name) => this.#store.model.findField(context.object, name)),
    );
    table.update(serial, draft.fields, draft.values, this.#limits.now());
    return { saved: { id, created: false } };
  }

  #delete(context: SaveContext, serial: number, undo: Undo[]): Outcome {
    const table = this.#store.table(context.object);
    const before = table.snapshot(serial);
    table.delete(serial);
    undo.push(() =>
      table.restore(serial, before, (name) => this.#store.model.findField(context.object, name)),
    );
    return { saved: { id: this.#store.idOf(context.object, serial), created: false } };
  }
}

const fail = (fault: RowFault, id = ''): Outcome => ({ faults: [fault], id });
const asList = (faults: RowFault | RowFault[]): RowFault[] => (Array.isArray(faults) ? faults : [faults]);

function withOwner(context: SaveContext, draft: Draft): Pick<Draft, 'fields' | 'values'> {
  if (!context.ownerId) {
    return draft;
  }
  const owner = context.object.fields.find((field) => field.name === 'OwnerId');
  return owner ? { fields: [...draft.fields, owner], values: [...draft.values, context.ownerId] } : draft;
}

/** External ids that occur more than once in this chunk: none of those records is saved. */
function repeatedKeys(context: SaveContext, drafts: readonly Draft[]): Set<string> {
  const repeated = new Set<string>();
  if (context.operation !== 'upsert' || drafts.length < 2) {
    return repeated;
  }
  const seen = new Set<string>();
  for (const draft of drafts) {
    const key = draft.key?.toLowerCase();
    if (key && seen.has(key)) {
      repeated.add(key);
    } else if (key) {
      seen.add(key);
    }
  }
  return repeated;
}

function repeatedKeyFault(context: SaveContext, draft: Draft, repeated: Set<string>): RowFault | undefined {
  if (!draft.key || !repeated.has(draft.key.toLowerCase())) {
    return undefined;
  }
  const name = context.externalIdField?.name ?? 'Id';
  return rowFault('DUPLICATE_VALUE', `Duplicate external id specified: ${draft.key}`, [name]);
}
