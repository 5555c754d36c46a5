import type { ErrorCategory } from '../../src/failure.ts';

/**
 * What each line of fixtures/sf-errors.csv has to become, written out by hand: by reference §7.1 for the complete rule
 * set, and by reading the DataWeave of the MuleSoft flow for the other.
 */
export interface Expected {
  line: number;
  fields?: string[];
  inner?: string[];
  complete: [ErrorCategory, boolean];
  mule: [ErrorCategory, boolean];
}

const DUPLICATE: Pick<Expected, 'complete' | 'mule'> = {
  complete: ['DUPLICATE_VALUE', false],
  mule: ['DUPLICATE_VALUE', false],
};

export const EXPECTED: readonly Expected[] = [
  { line: 1, fields: ['Name'], complete: ['VALIDATION', false], mule: ['VALIDATION', true] },
  { line: 2, fields: ['LastName'], complete: ['VALIDATION', false], mule: ['VALIDATION', true] },
  { line: 3, fields: ['Trip_End_Date__c'], complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 4, complete: ['REFERENCE', false], mule: ['OTHER', true] },
  { line: 5, complete: ['REFERENCE', false], mule: ['OTHER', true] },
  { line: 6, ...DUPLICATE },
  { line: 7, ...DUPLICATE },
  { line: 8, ...DUPLICATE },
  { line: 9, ...DUPLICATE },
  { line: 10, ...DUPLICATE },
  { line: 11, complete: ['CONDITIONAL', true], mule: ['OTHER', true] },
  { line: 12, complete: ['CONDITIONAL', true], mule: ['OTHER', true] },
  { line: 13, complete: ['CONDITIONAL', true], mule: ['OTHER', true] },
  { line: 14, complete: ['LOCK', true], mule: ['OTHER', true] },
  { line: 15, complete: ['LOCK', true], mule: ['OTHER', true] },
  { line: 16, complete: ['LOCK', true], mule: ['OTHER', true] },
  { line: 17, complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 18, complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 19, complete: ['REFERENCE', true], mule: ['OTHER', true] },
  { line: 20, fields: ['Account'], complete: ['REFERENCE', true], mule: ['OTHER', true] },
  { line: 21, ...DUPLICATE },
  { line: 22, complete: ['PERMISSION', false], mule: ['OTHER', true] },
  { line: 23, complete: ['PERMISSION', false], mule: ['OTHER', true] },
  { line: 24, complete: ['VALIDATION', false], mule: ['VALIDATION', true] },
  { line: 25, complete: ['PERMISSION', false], mule: ['OTHER', true] },
  { line: 26, complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 27, complete: ['VALIDATION', false], mule: ['VALIDATION', true] },
  { line: 28, complete: ['PERMISSION', false], mule: ['OTHER', true] },
  { line: 29, complete: ['REFERENCE', false], mule: ['OTHER', true] },
  { line: 30, complete: ['REFERENCE', false], mule: ['OTHER', true] },
  { line: 31, complete: ['CONDITIONAL', true], mule: ['OTHER', true] },
  { line: 32, complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 33, complete: ['DUPLICATE_VALUE', false], mule: ['OTHER', true] },
  { line: 34, complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 35, complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 36, complete: ['VALIDATION', false], mule: ['OTHER', true] },
  { line: 37, complete: ['LIMIT', false], mule: ['OTHER', true] },
  { line: 38, complete: ['TRANSIENT', true], mule: ['OTHER', true] },
  { line: 39, complete: ['LOCK', true], mule: ['OTHER', true] },
  { line: 40, complete: ['TRANSIENT', true], mule: ['OTHER', true] },
  { line: 41, complete: ['CONDITIONAL', false], mule: ['OTHER', true] },
  {
    line: 42,
    inner: ['FIELD_CUSTOM_VALIDATION_EXCEPTION'],
    complete: ['VALIDATION', false],
    mule: ['VALIDATION', true],
  },
  { line: 43, complete: ['CONDITIONAL', false], mule: ['OTHER', true] },
  { line: 44, complete: ['CONDITIONAL', true], mule: ['OTHER', true] },
  { line: 45, complete: ['VALIDATION', false], mule: ['OTHER', true] },
];
