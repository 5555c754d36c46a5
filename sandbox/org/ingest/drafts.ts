import type { CsvRow } from '../csv/csv-reader.ts';
import { type RowFault, rowFault } from '../data/faults.ts';
import type { Draft } from '../data/save.ts';
import type { Store } from '../data/store.ts';
import type { Value } from '../data/table.ts';
import { parseText, xsdType } from '../data/values.ts';
import type { Field } from '../model/types.ts';
import type { Column } from './columns.ts';
import type { Job } from './job.ts';

/** The text that sets a field to null; an empty value is ignored (reference §4). */
const NULL_TEXT = '#N/A';
const LONGEST_VALUE = 32_000;
const LONGEST_RECORD = 400_000;

/** Turns rows of one job into drafts. All drafts of a job share the list of fields. */
export class DraftMaker {
  readonly #store: Store;
  readonly #job: Job;
  readonly #columns: readonly Column[];
  readonly #fields: readonly Field[];
  readonly #idColumn: number;
  readonly #keyColumn: number;

  constructor(store: Store, job: Job, columns: readonly Column[]) {
    this.#store = store;
    this.#job = job;
    this.#columns = columns;
    this.#fields = columns.flatMap((column) => (column.kind === 'id' ? [] : [column.field]));
    this.#idColumn = columns.findIndex((column) => column.kind === 'id');
    const key = job.externalIdField;
    this.#keyColumn = columns.findIndex((column) => column.kind === 'field' && column.field === key);
  }

  make(row: CsvRow): Draft {
    const draft: Draft = { fields: this.#fields, values: [], faults: [] };
    const shape = this.#rowFault(row);
    if (shape) {
      draft.faults.push(shape);
    }
    for (let i = 0; i < this.#columns.length && draft.faults.length === 0; i++) {
      const column = this.#columns[i] as Column;
      if (column.kind !== 'id') {
        draft.values.push(this.#value(column, i, row.values[i] ?? '', draft.faults));
      }
    }
    this.#identify(draft, row);
    return draft;
  }

  #identify(draft: Draft, row: CsvRow): void {
    const id = this.#idColumn === -1 ? '' : (row.values[this.#idColumn] ?? '');
    if (id !== '' && this.#job.operation === 'insert') {
      draft.faults.push(
        rowFault('INVALID_FIELD_FOR_INSERT_UPDATE', 'cannot specify Id in an insert call', ['Id']),
      );
    } else if (id !== '') {
      draft.id = id;
    }
    if (this.#job.operation === 'upsert' && this.#keyColumn !== -1) {
      const key = row.values[this.#keyColumn] ?? '';
      draft.key = key === NULL_TEXT ? '' : key;
    }
  }

  #rowFault(row: CsvRow): RowFault | undefined {
    if (row.faulty) {
      const message =
        'Failed to parse CSV. Found unescaped quote. A value with quote should be within a quote';
      return rowFault('InvalidBatch', message);
    }
    if (row.values.length !== this.#columns.length) {
      const message = `Row has ${row.values.length} columns where the header has ${this.#columns.length}`;
      return rowFault('InvalidBatch', message);
    }
    const lengths = row.values.map((value) => value.length);
    if (lengths.some((length) => length > LONGEST_VALUE)) {
      return rowFault('InvalidBatch', `Field is longer than ${LONGEST_VALUE} characters`);
    }
    return lengths.reduce((sum, length) => sum + length, 0) > LONGEST_RECORD
      ? rowFault('InvalidBatch', `Record is longer than ${LONGEST_RECORD} characters`)
      : undefined;
  }

  #value(column: Exclude<Column, { kind: 'id' }>, position: number, text: string, faults: RowFault[]): Value {
    if (text === '') {
      return undefined;
    }
    if (text === NULL_TEXT) {
      return null;
    }
    if (column.kind === 'parent') {
      return this.#parentId(column, text, faults);
    }
    const { field } = column;
    if (field.readOnly) {
      faults.push(notWritable(field));
      return undefined;
    }
    const value = parseText(field, text);
    if (value === undefined) {
      const due = `'${text}' is not a valid value for the type ${xsdType(field)}`;
      const message = `Failed to deserialize field at col ${position}. Due to, ${due}`;
      faults.push(rowFault('INVALID_FIELD', message, [field.name]));
    }
    return value;
  }

  #parentId(column: Extract<Column, { kind: 'parent' }>, text: string, faults: RowFault[]): Value {
    const [serial, second] = this.#store.table(column.parent).find(column.key, text);
    if (serial !== undefined && second === undefined) {
      return this.#store.idOf(column.parent, serial);
    }
    const message = `Foreign key external ID: ${text} not found for field ${column.key.name} in entity ${column.parent.name}`;
    faults.push(rowFault('INVALID_FIELD', message));
    return undefined;
  }
}

export function notWritable(field: Field): RowFault {
  const message =
    `Unable to create/update fields: ${field.name}. Please check the security settings of this field ` +
    'and verify that it is read/write for your profile or permission set.';
  return rowFault('INVALID_FIELD_FOR_INSERT_UPDATE', message, [field.name]);
}
