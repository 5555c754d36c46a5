import type { ErrorCategory } from '../../failure.ts';
import type { Verdict } from '../verdict.ts';

interface MuleRule {
  contains: string;
  category: ErrorCategory;
  retryable: boolean;
}

/**
 * The DataWeave of the MuleSoft flow, line by line (reference: mule-flow.md, "Parse Bulk API Failed Results"): the category
 * is that of the first `contains` that holds, in this order. Its capitals count.
 */
export const MULE_RULES: readonly MuleRule[] = [
  { contains: 'DUPLICATE', category: 'DUPLICATE_VALUE', retryable: false },
  { contains: 'REQUIRED_FIELD_MISSING', category: 'VALIDATION', retryable: true },
  { contains: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', category: 'VALIDATION', retryable: true },
  { contains: 'STORAGE_LIMIT_EXCEEDED', category: 'LIMIT', retryable: false },
];

const NAMED = MULE_RULES.map((rule) => ({ ...rule, name: `mule: contains ${rule.contains}` }));

/** `retryable` is a question of its own there: any text that names the storage limit is not, whatever its category. */
export function judgeMule(text: string): Verdict {
  const rule = NAMED.find(({ contains }) => text.includes(contains));
  if (!rule) return { errorCategory: 'OTHER', retryable: true, rule: 'mule: anything else' };
  const retryable = rule.retryable && !text.includes('STORAGE_LIMIT_EXCEEDED');
  return { errorCategory: rule.category, retryable, rule: rule.name };
}
