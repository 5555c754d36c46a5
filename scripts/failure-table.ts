import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ERROR_CATEGORIES } from '../src/failure.ts';
import { builtInRules } from '../src/failures/rules/built-in.ts';
import { CATEGORY_MEANINGS } from '../src/failures/rules/categories.ts';
import { STATUS_CODES } from '../src/failures/rules/status-codes.ts';
import { TEXT_RULES } from '../src/failures/rules/text-rules.ts';

/** Writes the generated tables of docs/failures.md from the data that classifies. `node scripts/failure-table.ts` */
export const FAILURES_DOC = new URL('../docs/failures.md', import.meta.url);

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const code = (text: string) => `\`${cell(text)}\``;
const yesNo = (value: boolean) => (value ? 'yes' : 'no');

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function categories(): string {
  const rows = ERROR_CATEGORIES.map((category) => {
    const codes = STATUS_CODES.filter((entry) => entry.category === category);
    const retried = codes.filter((entry) => entry.retry === 'yes').length;
    const { means, helps } = CATEGORY_MEANINGS[category];
    return [code(category), cell(means), cell(helps), String(codes.length), String(retried)];
  });
  return table(['category', 'means', 'what helps', 'codes', 'of them retryable'], rows);
}

function textRules(): string {
  const rows = TEXT_RULES.map((rule) => [
    cell(rule.name),
    rule.codes.map(code).join(', '),
    code(rule.pattern.source),
    code(rule.category),
    yesNo(rule.retryable),
    yesNo(rule.aloneCures),
    cell(rule.why),
  ]);
  return table(['rule', 'codes', 'text matches', 'category', 'retryable', 'cured alone', 'why'], rows);
}

function muleRules(): string {
  const rows = builtInRules('mule').map((rule) => [
    cell(rule.when),
    code(String(rule.category)),
    yesNo(rule.retryable === true),
  ]);
  return table(['when', 'category', 'retryable'], rows);
}

const RETRY_WORDS = { yes: 'yes', no: 'no', maybe: 'by its text' } as const;

function codes(): string {
  const rows = STATUS_CODES.map((entry) => [
    code(entry.code),
    code(entry.category),
    RETRY_WORDS[entry.retry],
  ]);
  return table(['code', 'category', 'retryable'], rows);
}

const SECTIONS: Record<string, () => string> = {
  categories,
  'text rules': textRules,
  mule: muleRules,
  codes,
};

/** The document with its tables made anew; everything outside the marks stays. */
export function withTables(document: string): string {
  return document.replace(/<!-- generated: (.+?) -->\n[\s\S]*?<!-- end -->/g, (_all, name: string) => {
    const section = SECTIONS[name];
    if (!section) throw new Error(`docs/failures.md: no table is called "${name}".`);
    return `<!-- generated: ${name} -->\n\n${section()}\n\n<!-- end -->`;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(FAILURES_DOC, withTables(readFileSync(FAILURES_DOC, 'utf8')));
}
