import { RE2JS } from 're2js';
import { LoadError, reasonOf } from '../../errors.ts';
import { ERROR_CATEGORIES, type ErrorCategory } from '../../failure.ts';
import type { Verdict } from '../verdict.ts';

/** A rule of the user, as the node keeps it. `code` is equal, `contains` is exact, `regex` is RE2 on the raw text. */
export interface OwnRule {
  match: 'code' | 'contains' | 'regex';
  value: string;
  category: ErrorCategory;
  retryable: boolean;
}

export interface CompiledRule {
  fits(text: string, errorCode: string): boolean;
  verdict: Verdict;
}

/**
 * RE2 takes time in proportion to text × program, whatever the pattern: no pattern hangs the process. These bounds keep
 * the product small as well (a tenth of a second for the worst pair known, microseconds for any usual one).
 */
const MAX_PATTERN_CHARACTERS = 1_000;
const MAX_PROGRAM_SIZE = 500;
const LOOKED_AT = 4_000;

const LOOK_AROUND = /\(\?<?[=!]/;
const BACKREFERENCE = /\\[1-9]|\\k[<{']|\(\?P=/;

function refuse(at: number, reason: string, cause?: unknown): LoadError {
  return new LoadError('CONFIG_INVALID', `Classification rule ${at + 1}: ${reason}`, { cause });
}

/** RE2's own message for these names a piece of syntax and not the reason. */
function reasonAgainst(pattern: string, error: unknown): string {
  if (LOOK_AROUND.test(pattern)) {
    return 'look-ahead and look-behind are not available: patterns run in linear time (RE2). Use several rules, the first that matches wins.';
  }
  if (BACKREFERENCE.test(pattern)) {
    return 'backreferences are not available: patterns run in linear time (RE2). Use several rules, the first that matches wins.';
  }
  return `the regular expression is not valid: ${reasonOf(error)}.`;
}

function compilePattern(pattern: string, at: number): RE2JS {
  if (pattern.length > MAX_PATTERN_CHARACTERS) {
    throw refuse(at, `the regular expression is longer than ${MAX_PATTERN_CHARACTERS} characters.`);
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    throw refuse(at, reasonAgainst(pattern, error), error);
  }
  if (compiled.programSize() > MAX_PROGRAM_SIZE) {
    throw refuse(
      at,
      `the regular expression is too large: it stands for ${compiled.programSize()} steps, at most ${MAX_PROGRAM_SIZE} are allowed. Lower its {n} counts.`,
    );
  }
  return compiled;
}

function matcher(rule: OwnRule, at: number): CompiledRule['fits'] {
  const { match, value } = rule;
  if (match === 'code') return (_text, errorCode) => errorCode === value;
  if (match === 'contains') return (text) => text.includes(value);
  const pattern = compilePattern(value, at);
  return (text) => pattern.test(text.length > LOOKED_AT ? text.slice(0, LOOKED_AT) : text);
}

function check(rule: OwnRule, at: number): void {
  if (!['code', 'contains', 'regex'].includes(rule?.match)) {
    throw refuse(at, 'match must be "code", "contains" or "regex".');
  }
  if (typeof rule.value !== 'string' || rule.value === '') throw refuse(at, 'the value is empty.');
  if (!ERROR_CATEGORIES.includes(rule.category)) {
    throw refuse(at, `the category must be one of ${ERROR_CATEGORIES.join(', ')}.`);
  }
  if (typeof rule.retryable !== 'boolean') throw refuse(at, 'retryable must be true or false.');
}

/** The user's rules, in order. Rejects the first bad one with CONFIG_INVALID, which names its number and the reason. */
export function compileOwnRules(rules: readonly OwnRule[]): CompiledRule[] {
  return rules.map((rule, at) => {
    check(rule, at);
    return {
      fits: matcher(rule, at),
      verdict: { errorCategory: rule.category, retryable: rule.retryable, rule: `own rule ${at + 1}` },
    };
  });
}
