import type { ErrorCategory } from '../../failure.ts';
import type { RuleSet } from '../classify.ts';
import { MULE_RULES } from './mule.ts';
import { STATUS_CODES } from './status-codes.ts';
import { AUTOMATION_CODES, TEXT_RULES } from './text-rules.ts';

/** A built-in rule as the editor and the docs show it. */
export interface BuiltInRule {
  /** As a failure's `rule` names it. */
  name: string;
  /** When it applies, in words. */
  when: string;
  category: ErrorCategory | null;
  retryable: boolean | null;
  why: string;
}

const INNER_CODE_RULE: BuiltInRule = {
  name: 'inner code …',
  when: `${AUTOMATION_CODES.join(', ')}, whose text names another code of the table`,
  category: null,
  retryable: null,
  why: 'A trigger or flow failed because of that: the code inside decides, as if it had come alone.',
};

const textRules = (): BuiltInRule[] =>
  TEXT_RULES.map((rule) => ({
    name: `text: ${rule.name}`,
    when: `${rule.codes.join(', ')}, and the text matches /${rule.pattern.source}/i`,
    category: rule.category,
    retryable: rule.retryable,
    why: rule.why,
  }));

const codeRules = (): BuiltInRule[] =>
  STATUS_CODES.map(({ code, category, retry }) => ({
    name: `code ${code}`,
    when: `the code is ${code}`,
    category,
    retryable: retry === 'yes',
    why: '',
  }));

const muleRules = (): BuiltInRule[] => [
  ...MULE_RULES.map(({ contains, category, retryable }) => ({
    name: `mule: contains ${contains}`,
    when: `the text contains ${contains}`,
    category,
    retryable,
    why: '',
  })),
  { name: 'mule: anything else', when: 'otherwise', category: 'OTHER', retryable: true, why: '' },
];

const UNKNOWN_CODE_RULE: BuiltInRule = {
  name: 'unknown code …',
  when: 'otherwise',
  category: 'OTHER',
  retryable: false,
  why: 'Salesforce adds codes. One that nobody has judged is not sent again.',
};

/** The rules of a rule set in the order in which they are asked; the user's own come before them. */
export function builtInRules(ruleSet: RuleSet): BuiltInRule[] {
  if (ruleSet === 'mule') return muleRules();
  return [INNER_CODE_RULE, ...textRules(), ...codeRules(), UNKNOWN_CODE_RULE];
}
