import type { ErrorCategory } from '../../failure.ts';

/** What each category means and what helps, in a person's words: for the docs and the editor. */
export const CATEGORY_MEANINGS: Readonly<Record<ErrorCategory, { means: string; helps: string }>> = {
  DUPLICATE_VALUE: {
    means:
      'The record clashes with one that is there already: a unique field, an external id, a duplicate rule.',
    helps: 'Find out which of the two is right. Upsert instead of insert where the source is the master.',
  },
  VALIDATION: {
    means: 'A value, or a rule that looks at values, stands against the record.',
    helps: 'Mend the record at its source, or in the dead-letter table, and replay it.',
  },
  LIMIT: {
    means: 'Something of the org is used up: storage, calls of the day, licences.',
    helps: 'Stop, make room or wait for the reset, then replay.',
  },
  LOCK: {
    means: 'Another transaction held the row or its parent.',
    helps: 'A retry after a pause. Order the select by parent, or load in serial mode, if there are many.',
  },
  TRANSIENT: {
    means: 'The org was busy, in maintenance or met a fault of its own.',
    helps: 'A retry after a pause.',
  },
  CONDITIONAL: {
    means: 'It depends: automation or the records saved together with this one failed. The text decides.',
    helps:
      'Retried when the text names a limit of the transaction or the failure of another record; else look at the automation.',
  },
  REFERENCE: {
    means: 'An id or a related record is wrong, missing, deleted or in use.',
    helps:
      'Load the parents first, mend the reference. A parent named by external id is looked for again in a retry.',
  },
  PERMISSION: {
    means: 'The user of the connection may not do this, or not to this field or record.',
    helps: 'An administrator grants the right; then replay.',
  },
  AUTH: {
    means: 'The session or the app is not accepted.',
    helps: 'Mend the connection; then replay.',
  },
  REQUEST: {
    means: 'The call itself is wrong, not the record.',
    helps: 'Mend the mapping or the settings of the node.',
  },
  SETUP: {
    means: 'Org set-up, licences, metadata, or a feature outside record loading.',
    helps: 'An administrator looks at it.',
  },
  OTHER: {
    means: 'No rule knows the code. It is counted and named once in a warning.',
    helps: 'Look at the text, and write a rule of your own when it comes again.',
  },
};
