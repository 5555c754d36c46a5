import {
  type Classifier,
  createClassifier,
  RULE_SETS,
  type RuleSet,
} from '../../../src/failures/classify.ts';
import { builtInRules } from '../../../src/failures/rules/built-in.ts';
import type { OwnRule } from '../../../src/failures/rules/own-rules.ts';
import type { Red } from '../red.ts';
import { loadError } from '../texts.ts';
import { bodyValue, queryText, registerEndpoint } from './endpoint.ts';

/** Compiling the most and worst rules takes a tenth of a second, in which the process does nothing else. */
const BOUNDS = { calls: 60, perMs: 60_000, atOnce: 4 };
const MOST_RULES = 200;
const LONGEST_TEXT = 10_000;

/** Whoever tries texts out asks for one rule set many times. */
let last: { question: string; classifier: Classifier } | undefined;

/** Trying out rules needs nothing that is deployed: once, from the module of `sf-failure-classify`. */
export function registerClassifyAdmin(RED: Red): void {
  registerEndpoint(RED, {
    method: 'get',
    path: '/classify/rules',
    permission: 'read',
    bounds: BOUNDS,
    answer: async ({ request }) => builtInRules(ruleSetOf(queryText(request, 'ruleSet'))),
  });
  registerEndpoint(RED, {
    method: 'post',
    path: '/classify/try',
    permission: 'read',
    bounds: BOUNDS,
    answer: async ({ request }) => {
      const ruleSet = ruleSetOf(bodyValue(request, 'ruleSet'));
      const classifier = classifierOf(ruleSet, rulesOf(bodyValue(request, 'rules')));
      return classifier.explain(String(bodyValue(request, 'text') ?? '').slice(0, LONGEST_TEXT));
    },
  });
}

function classifierOf(ruleSet: RuleSet, rules: OwnRule[]): Classifier {
  const question = JSON.stringify([ruleSet, rules]);
  if (last?.question !== question) last = { question, classifier: createClassifier({ ruleSet, rules }) };
  return last.classifier;
}

function ruleSetOf(value: unknown): RuleSet {
  const known = RULE_SETS.find((ruleSet) => ruleSet === value);
  if (known !== undefined) return known;
  throw loadError('CONFIG_INVALID', 'ruleSet', { sets: RULE_SETS.join(', ') });
}

/** The classifier itself refuses what is wrong inside a rule. */
function rulesOf(value: unknown): OwnRule[] {
  const rules = Array.isArray(value) ? value.slice(0, MOST_RULES) : [];
  return rules.filter((rule): rule is OwnRule => typeof rule === 'object' && rule !== null);
}
