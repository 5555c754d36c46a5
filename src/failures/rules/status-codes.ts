import { readFileSync } from 'node:fs';
import type { ErrorCategory } from '../../failure.ts';

/** What the table says of a code: the category, and whether the same record, unchanged, can pass later. */
export interface StatusCode {
  code: string;
  category: ErrorCategory;
  /** `maybe`: the text decides (see text-rules.ts); without a rule that fits, no. */
  retry: 'yes' | 'no' | 'maybe';
}

/** The table's own words, and ours where a saved flow already knows another (the MuleSoft flow's categories). */
const CATEGORIES: Record<string, ErrorCategory> = {
  DATA: 'VALIDATION',
  DUPLICATE: 'DUPLICATE_VALUE',
  QUOTA: 'LIMIT',
  AUTH: 'AUTH',
  CONDITIONAL: 'CONDITIONAL',
  PERMISSION: 'PERMISSION',
  REFERENCE: 'REFERENCE',
  REQUEST: 'REQUEST',
  SETUP: 'SETUP',
  TRANSIENT: 'TRANSIENT',
};

const RETRY: Record<string, StatusCode['retry']> = {
  yes: 'yes',
  maybe: 'maybe',
  no: 'no',
  after_reset: 'no',
  after_reauth: 'no',
};

const LOCK_CODES = new Set(['UNABLE_TO_LOCK_ROW', 'TooManyLockFailure']);

function readLine(line: string): StatusCode {
  const [code = '', category = '', retry = ''] = line.trim().split(',');
  const ours = LOCK_CODES.has(code) ? 'LOCK' : CATEGORIES[category];
  const retryWord = RETRY[retry];
  if (!code || !ours || !retryWord) {
    throw new Error(`status-codes.csv: cannot read the line "${line}".`);
  }
  return { code, category: ours, retry: retryWord };
}

function readTable(): StatusCode[] {
  const text = readFileSync(new URL('./status-codes.csv', import.meta.url), 'utf8');
  return text
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '')
    .map(readLine);
}

/**
 * Every code of the partner WSDL (StatusCode, ExceptionCode), of REST and of the async API, with our judgement of it.
 * Salesforce adds codes: one that is not here is not known to pass later.
 */
export const STATUS_CODES: readonly StatusCode[] = readTable();

const BY_CODE = new Map(STATUS_CODES.map((entry) => [entry.code, entry]));

/** Bulk 2.0 writes the async codes in capitals without underscores too (`InvalidJob`, `INVALIDJOB`): one thing. */
const bare = (code: string) => code.replaceAll('_', '').toUpperCase();
const BY_BARE_CODE = new Map(STATUS_CODES.toReversed().map((entry) => [bare(entry.code), entry]));

export function findStatusCode(code: string): StatusCode | undefined {
  return BY_CODE.get(code) ?? BY_BARE_CODE.get(bare(code));
}

/** Spelt exactly as in the table: what tells a code from a word of the message. */
export function isStatusCode(word: string): boolean {
  return BY_CODE.has(word);
}
