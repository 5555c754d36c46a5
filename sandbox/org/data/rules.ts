import type { Condition, Field, ObjectModel, ValidationRule } from '../model/types.ts';
import { type RowFault, rowFault } from './faults.ts';
import type { Draft, SaveContext } from './save.ts';
import type { Store } from './store.ts';
import type { Table, Value } from './table.ts';
import { checkValue } from './values.ts';

/** What the org's model asks of a record before it is saved. */
export class RecordRules {
  readonly #store: Store;
  readonly #now: () => number;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** The faults of the record as it would be after the save: `serial` is the existing record, if there is one. */
  check(context: SaveContext, draft: Draft, serial: number | undefined): RowFault[] {
    const valueFaults = this.#checkValues(draft);
    if (valueFaults.length > 0) {
      return valueFaults;
    }
    const after = this.#after(context.object, draft, serial);
    const missing = missingFields(context.object, after);
    if (missing.length > 0) {
      return [
        rowFault('REQUIRED_FIELD_MISSING', `Required fields are missing: [${missing.join(', ')}]`, missing),
      ];
    }
    const broken = (context.object.validationRules ?? []).find((rule) => applies(rule, after, this.#now()));
    if (broken) {
      return [
        rowFault(
          'FIELD_CUSTOM_VALIDATION_EXCEPTION',
          broken.message,
          broken.errorField ? [broken.errorField] : [],
        ),
      ];
    }
    const taken =
      this.#uniqueFault(context.object, draft, serial) ?? this.#duplicateFault(context.object, draft, serial);
    const fault = taken ?? this.#referenceFault(draft) ?? lockFault(context, draft);
    return fault ? [fault] : [];
  }

  #checkValues(draft: Draft): RowFault[] {
    const faults: RowFault[] = [];
    for (let i = 0; i < draft.fields.length; i++) {
      const value = draft.values[i];
      const fault = value
        ? checkValue(draft.fields[i] as Field, value, (id) => this.#store.typeOfId(id))
        : undefined;
      if (fault) {
        faults.push(fault);
      }
    }
    return faults;
  }

  #after(object: ObjectModel, draft: Draft, serial: number | undefined): (name: string) => Value {
    const given = valueIn(draft);
    return (name) => {
      const value = given(name);
      if (value !== undefined) {
        return value;
      }
      const field = this.#store.model.findField(object, name);
      return serial === undefined || !field ? field?.defaultValue : this.#store.read(object, serial, field);
    };
  }

  #uniqueFault(object: ObjectModel, draft: Draft, serial: number | undefined): RowFault | undefined {
    const table = this.#store.table(object);
    for (let i = 0; i < draft.fields.length; i++) {
      const field = draft.fields[i] as Field;
      const value = draft.values[i];
      if (!field.unique || !value) {
        continue;
      }
      const other = table.find(field, value).find((found) => found !== serial);
      if (other !== undefined) {
        const id = this.#store.idOf(object, other);
        return rowFault(
          'DUPLICATE_VALUE',
          `duplicate value found: ${field.name} duplicates value on record with id: ${id}`,
        );
      }
    }
    return undefined;
  }

  #duplicateFault(object: ObjectModel, draft: Draft, serial: number | undefined): RowFault | undefined {
    if (serial !== undefined) {
      return undefined;
    }
    const table: Table = this.#store.table(object);
    const rule = object.duplicateRules?.find(
      (each) => table.findDuplicate(each, valueIn(draft)) !== undefined,
    );
    return rule && rowFault('DUPLICATES_DETECTED', rule.message);
  }

  #referenceFault(draft: Draft): RowFault | undefined {
    for (let i = 0; i < draft.fields.length; i++) {
      const field = draft.fields[i] as Field;
      const value = draft.values[i];
      if (field.type === 'reference' && value && field.name !== 'OwnerId' && !this.#isLive(field, value)) {
        return rowFault('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id');
      }
    }
    return undefined;
  }

  #isLive(field: Field, id: string): boolean {
    return (field.referenceTo ?? []).some((name) => {
      const located = this.#store.locate(this.#store.model.get(name), id);
      return located?.table.exists(located.serial) ?? false;
    });
  }
}

/** The value of a field in a draft; undefined when it was not given. */
export function valueIn(draft: Draft): (name: string) => Value {
  return (name) => {
    for (let i = draft.fields.length - 1; i >= 0; i--) {
      if (draft.fields[i]?.name === name) {
        return draft.values[i];
      }
    }
    return undefined;
  };
}

function missingFields(object: ObjectModel, after: (name: string) => Value): string[] {
  return object.fields.filter((field) => field.required && !after(field.name)).map((field) => field.name);
}

function applies(rule: ValidationRule, after: (name: string) => Value, now: number): boolean {
  return rule.when.every((condition) => holds(condition, after(condition.field) ?? '', now));
}

function holds({ is, value = '' }: Condition, actual: string, now: number): boolean {
  switch (is) {
    case 'blank':
      return actual === '';
    case 'not-blank':
      return actual !== '';
    case 'equals':
      return actual === value;
    case 'matches':
      return new RegExp(value).test(actual);
    case 'less-than':
      return actual !== '' && Number(actual) < Number(value);
    case 'greater-than':
      return actual !== '' && Number(actual) > Number(value);
    case 'after-today':
      return actual !== '' && Date.parse(actual) > now;
  }
}

function lockFault(context: SaveContext, draft: Draft): RowFault | undefined {
  if (!context.isLocked) {
    return undefined;
  }
  for (let i = 0; i < draft.fields.length; i++) {
    const parent = draft.values[i];
    if (draft.fields[i]?.locksParent && parent && context.isLocked(parent)) {
      return rowFault(
        'UNABLE_TO_LOCK_ROW',
        `unable to obtain exclusive access to this record or 1 records: ${parent}`,
      );
    }
  }
  return undefined;
}
