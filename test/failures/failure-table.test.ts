import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { FAILURES_DOC, withTables } from '../../scripts/failure-table.ts';
import { ERROR_CATEGORIES } from '../../src/failure.ts';
import { createClassifier } from '../../src/failures/classify.ts';
import { builtInRules } from '../../src/failures/rules/built-in.ts';

describe('docs/failures.md', () => {
  it('is generated from the data that classifies (node scripts/failure-table.ts)', () => {
    const document = readFileSync(FAILURES_DOC, 'utf8');
    assert.equal(document, withTables(document));
    for (const category of ERROR_CATEGORIES) assert.ok(document.includes(`| \`${category}\` | `), category);
    assert.ok(document.includes('| `UNABLE_TO_LOCK_ROW` | `LOCK` | yes |'));
  });
});

describe('the built-in rules, as the editor lists them', () => {
  it('have the names that failures carry', () => {
    const names = new Set(builtInRules('complete').map((rule) => rule.name));
    const classifier = createClassifier({ ruleSet: 'complete' });
    const texts = ['UNABLE_TO_LOCK_ROW:x:--', 'INVALID_FIELD:Foreign key external ID: a not found:--'];
    for (const text of texts) assert.ok(names.has(classifier.explain(text).rule), text);
    assert.equal(builtInRules('mule').at(-1)?.name, 'mule: anything else');
    assert.equal(builtInRules('complete').filter((rule) => rule.name.startsWith('code ')).length, 616);
  });
});
