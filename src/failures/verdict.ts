import type { ErrorCategory } from '../failure.ts';

/** What a rule set makes of an error; `rule` names the rule that decided. */
export interface Verdict {
  errorCategory: ErrorCategory;
  retryable: boolean;
  rule: string;
  /** The code that no rule knows, when that is why. */
  unknownCode?: string;
}
