import { LoadError } from '../errors.ts';
import type { FailedRow, Failure } from '../failure.ts';
import type { SourceRecord } from '../record.ts';
import { type ParsedError, parseError } from './parse-error.ts';
import { judgeComplete } from './rules/complete.ts';
import { judgeMule } from './rules/mule.ts';
import { compileOwnRules, type OwnRule } from './rules/own-rules.ts';
import type { Verdict } from './verdict.ts';

export const RULE_SETS = ['complete', 'mule'] as const;
export type RuleSet = (typeof RULE_SETS)[number];

export interface ClassifierOptions {
  ruleSet: RuleSet;
  /** The user's rules: the first that matches decides, before the rule set. */
  rules?: readonly OwnRule[];
  /** Called once for each code that no rule knows. */
  onUnknownCode?: (code: string) => void;
}

/** An error text, read and judged. */
export type Explanation = ParsedError & Verdict;

export interface Classifier {
  /** `at`: when the job's results say that it failed, ISO 8601. */
  classify(row: FailedRow, at: string): Failure;
  /** The same for an error that came later, as the answer to a retry. */
  judge(text: string): Explanation;
  /** The same for a text that somebody asks about: nothing is counted. */
  explain(text: string): Explanation;
  /** How often each code came that no rule knows. */
  readonly unknownCodes: ReadonlyMap<string, number>;
}

/** Loads repeat a few texts many times. Bounded: cleared when full, and long texts are not kept. */
const CACHED_TEXTS = 2_000;
const CACHED_CHARACTERS = 1_000;
/** Codes come from outside; a broken file must not fill the memory with them. */
const MAX_UNKNOWN_CODES = 1_000;

/** The record as it was uploaded: every column but those that Salesforce or `sf-bulk-results` put before it. */
function uploadedColumns(row: FailedRow): SourceRecord {
  const record: SourceRecord = {};
  for (const column in row) {
    if (column.startsWith('sf__')) continue;
    if (column === '__proto__') defineColumn(record, column, row[column]);
    else record[column] = row[column];
  }
  return record;
}

/** Assigned, it would be lost. */
function defineColumn(record: SourceRecord, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}

function failureOf(row: FailedRow, at: string, explanation: Explanation): Failure {
  const { errorCode, errorMessage } = explanation;
  return {
    key: row.sf__Key,
    sfId: row.sf__Id,
    error: row.sf__Error,
    errorCode,
    errorMessage,
    errorFields: [...explanation.errorFields],
    errorCategory: explanation.errorCategory,
    retryable: explanation.retryable,
    rule: explanation.rule,
    originalData: uploadedColumns(row),
    attempts: [{ at, via: 'bulk', errorCode, errorMessage }],
  };
}

/**
 * Turns failed rows into failures by the user's rules, then the rule set. Throws CONFIG_INVALID for a rule that cannot
 * be used. 200,000 rows a second and more (bench/classify.ts).
 */
export function createClassifier(options: ClassifierOptions): Classifier {
  if (!RULE_SETS.includes(options.ruleSet)) {
    throw new LoadError('CONFIG_INVALID', `Rule set: must be one of ${RULE_SETS.join(', ')}.`);
  }
  const ownRules = compileOwnRules(options.rules ?? []);
  const unknownCodes = new Map<string, number>();
  const cache = new Map<string, Explanation>();

  const decide = (text: string, error: ParsedError): Verdict =>
    ownRules.find((rule) => rule.fits(text, error.errorCode))?.verdict ??
    (options.ruleSet === 'mule' ? judgeMule(text) : judgeComplete(error));

  const explain = (text: string): Explanation => {
    const known = cache.get(text);
    if (known) return known;
    const error = parseError(text);
    const explanation = { ...error, ...decide(text, error) };
    if (text.length <= CACHED_CHARACTERS) {
      if (cache.size >= CACHED_TEXTS) cache.clear();
      cache.set(text, explanation);
    }
    return explanation;
  };

  const countUnknown = (code: string) => {
    const count = unknownCodes.get(code) ?? 0;
    if (count === 0 && unknownCodes.size >= MAX_UNKNOWN_CODES) return;
    unknownCodes.set(code, count + 1);
    if (count === 0) options.onUnknownCode?.(code);
  };

  const judge = (text: string): Explanation => {
    const explanation = explain(text);
    if (explanation.unknownCode !== undefined) countUnknown(explanation.unknownCode);
    return explanation;
  };

  return {
    unknownCodes,
    explain,
    judge,
    classify: (row, at) => failureOf(row, at, judge(row.sf__Error)),
  };
}
