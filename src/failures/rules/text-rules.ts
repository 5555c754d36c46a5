import type { ErrorCategory } from '../../failure.ts';

/** A rule for codes that hide their cause: the text tells (reference §7.1). */
export interface TextRule {
  name: string;
  codes: readonly string[];
  pattern: RegExp;
  category: ErrorCategory;
  retryable: boolean;
  /** The record failed because of the records that were saved with it: sent alone it can pass. */
  aloneCures: boolean;
  /** Why, in one sentence, for the docs and the editor. */
  why: string;
}

/** Codes of automation that threw: the message repeats what went wrong inside, codes included. */
export const AUTOMATION_CODES: readonly string[] = [
  'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
  'CANNOT_EXECUTE_FLOW_TRIGGER',
  'FLOW_EXCEPTION',
  'APEX_ERROR',
  'APEX_FAILED',
  'CUSTOM_APEX_ERROR',
];

/** Codes of a record that was rolled back or not looked at because another one of the call failed. */
const COMPANY_CODES: readonly string[] = [
  'ALL_OR_NONE_OPERATION_ROLLED_BACK',
  'BATCH_PROCESSING_HALTED',
  'EMAIL_NOT_PROCESSED_DUE_TO_PRIOR_ERROR',
  'FAILED_DUE_TO_OTHER_INPUTS',
  'PROCESSING_HALTED',
];

/** In this order; the first that fits decides. Patterns are English, as Apex and flows write these texts everywhere. */
export const TEXT_RULES: readonly TextRule[] = [
  {
    name: 'Too many retries of batch save',
    codes: AUTOMATION_CODES,
    pattern: /Too many retries of batch save/i,
    category: 'CONDITIONAL',
    retryable: true,
    aloneCures: true,
    why: 'Other records of the same save failed in a trigger, and Salesforce gave up separating them.',
  },
  {
    name: 'lock inside automation',
    codes: AUTOMATION_CODES,
    pattern: /unable to obtain exclusive access|currently being modified by another user/i,
    category: 'LOCK',
    retryable: true,
    aloneCures: false,
    why: 'The trigger or flow met a row that another transaction had locked.',
  },
  {
    name: 'Apex governor limit',
    codes: [...AUTOMATION_CODES, 'LIMIT_EXCEEDED'],
    pattern:
      /System\.LimitException|\bToo many (?:SOQL|SOSL|DML|query|future|callouts|queueable|email|executed)|CPU time (?:limit|limits)|time limit exceeded|heap size|\bLimit Exceeded\b/i,
    category: 'CONDITIONAL',
    retryable: true,
    aloneCures: true,
    why: 'The limits of one transaction were used up by up to 200 records together; one record alone often fits.',
  },
  {
    name: 'parent not found',
    codes: ['INVALID_FIELD'],
    pattern: /Foreign key external ID\b/i,
    category: 'REFERENCE',
    retryable: true,
    aloneCures: false,
    why: 'The parent named by its external id was not there yet; it may be by now, as when one load brings both.',
  },
  {
    name: 'same external id twice in one save',
    codes: ['DUPLICATE_VALUE'],
    pattern: /duplicate (?:external )?id specified/i,
    category: 'DUPLICATE_VALUE',
    retryable: true,
    aloneCures: true,
    why: 'Two records with the same key were saved together; one after the other both pass.',
  },
  {
    name: 'another record of the call failed',
    codes: COMPANY_CODES,
    pattern: /rolled back|(?:another|other|prior) (?:record|operation|input|error)|halted/i,
    category: 'CONDITIONAL',
    retryable: true,
    aloneCures: true,
    why: 'Nothing was wrong with this record; it was undone together with one that failed.',
  },
  {
    name: 'too many calls at once',
    codes: ['REQUEST_LIMIT_EXCEEDED'],
    pattern: /ConcurrentRequests|concurrent/i,
    category: 'TRANSIENT',
    retryable: true,
    aloneCures: false,
    why: 'Too many calls of 20 seconds or more ran at once; that clears in seconds, unlike the limit of the day.',
  },
  {
    name: 'server fault with an error id',
    codes: ['UNKNOWN_EXCEPTION'],
    pattern: /unexpected (?:error|exception)|error ?id/i,
    category: 'CONDITIONAL',
    retryable: true,
    aloneCures: false,
    why: 'Salesforce met a fault of its own; a second try often passes.',
  },
];

const BY_CODE = new Map<string, TextRule[]>();
for (const rule of TEXT_RULES) {
  for (const code of rule.codes) BY_CODE.set(code, [...(BY_CODE.get(code) ?? []), rule]);
}

/** Matched against this many characters of a message, so that a text of any length costs little. */
const LOOKED_AT = 8_000;

export function findTextRule(code: string, message: string): TextRule | undefined {
  const rules = BY_CODE.get(code);
  if (!rules) return undefined;
  const text = message.length > LOOKED_AT ? message.slice(0, LOOKED_AT) : message;
  return rules.find((rule) => rule.pattern.test(text));
}
