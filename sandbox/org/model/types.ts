/** The org's schema as data. Tests add objects, fields and rules by adding data. */

export type FieldType =
  | 'id'
  | 'string'
  | 'textarea'
  | 'email'
  | 'phone'
  | 'url'
  | 'boolean'
  | 'int'
  | 'double'
  | 'currency'
  | 'percent'
  | 'date'
  | 'datetime'
  | 'picklist'
  | 'reference'
  | 'compound';

export interface Field {
  name: string;
  label: string;
  type: FieldType;
  /** Characters, for text. */
  length?: number;
  required?: boolean;
  unique?: boolean;
  /** Unique and look-up comparisons tell capitals apart. Default: they do not. */
  caseSensitive?: boolean;
  externalId?: boolean;
  /** May serve as a look-up key without being an external id (`Owner.Email`). */
  idLookup?: boolean;
  /** Values a user may not write: system fields. */
  readOnly?: boolean;
  picklist?: readonly string[];
  /** Values outside the picklist are refused. */
  restricted?: boolean;
  referenceTo?: readonly string[];
  relationshipName?: string;
  /** Loading a child takes a lock on the parent (reference §6). */
  locksParent?: boolean;
  /** Value of a record that was created without one. */
  defaultValue?: string;
}

/** A condition on one field of a record. */
export interface Condition {
  field: string;
  is: 'blank' | 'not-blank' | 'equals' | 'matches' | 'less-than' | 'greater-than' | 'after-today';
  value?: string;
}

/** A record on which all conditions hold is refused with FIELD_CUSTOM_VALIDATION_EXCEPTION. */
export interface ValidationRule {
  name: string;
  when: readonly Condition[];
  message: string;
  errorField?: string;
}

/** A record that has all these fields, and the same values in them as an existing one, is refused as DUPLICATES_DETECTED. */
export interface DuplicateRule {
  name: string;
  fields: readonly string[];
  message: string;
}

/**
 * When a mark strikes:
 * - `bulk-first-try`: the first time that Bulk saves this record; later tries and REST pass.
 * - `in-company`: in a Bulk save chunk, and in a Collections call that holds more than one record with the mark.
 * - `whole-chunk`: as in-company, but every record of the chunk or call is hit.
 * - `always`.
 */
export type MarkScope = 'bulk-first-try' | 'in-company' | 'whole-chunk' | 'always';

/** A fault that a record carries in its own data, so that a seeded table decides what will happen to it. */
export interface Mark {
  field: string;
  contains: string;
  scope: MarkScope;
  code: string;
  message: string;
  errorFields?: readonly string[];
}

export interface AssignmentRule {
  id: string;
  active: boolean;
  /** The user who gets the record. */
  ownerId: string;
}

export interface ObjectModel {
  name: string;
  label: string;
  labelPlural: string;
  keyPrefix: string;
  custom?: boolean;
  /** Bulk API 2.0 accepts it. Default true. */
  bulk?: boolean;
  /** The API may write it. Default true. */
  writable?: boolean;
  fields: Field[];
  validationRules?: ValidationRule[];
  duplicateRules?: DuplicateRule[];
  marks?: Mark[];
  assignmentRules?: AssignmentRule[];
}
