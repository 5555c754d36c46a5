import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import type { FailedRow } from '../src/failure.ts';
import { type ClassifierOptions, createClassifier } from '../src/failures/classify.ts';
import { median } from './measurement.ts';

/** How many failures a second one process classifies. `node bench/classify.ts [rows]` */
const ROWS = Number(process.argv[2] ?? 400_000);
const RUNS = 5;

const path = new URL('../test/failures/fixtures/sf-errors.csv', import.meta.url);
const seen: { text: string }[] = parse(readFileSync(path), { columns: true });

/** Texts as they come, or each with a number of its own in the message, so that no cache helps. */
function rowsOf(own: boolean): FailedRow[] {
  return Array.from({ length: ROWS }, (_, at) => {
    const text = seen[at % seen.length]?.text ?? '';
    return {
      sf__Id: '',
      sf__Error: own ? text.replace(':', `: No. ${at} `) : text,
      sf__Key: `750xx000000001-${at}`,
      External_Id__c: `C-${at}`,
      LastName: `Name ${at}`,
      FirstName: 'First',
      Email: `a${at}@example.com`,
      Phone: '+49 30 1234567',
      'Account.External_Id__c': `A-${at % 100}`,
      Birthdate: '1980-01-01',
      Score__c: '12.5',
    };
  });
}

function measure(name: string, rows: FailedRow[], options: ClassifierOptions): void {
  const rates = Array.from({ length: RUNS }, () => {
    const classifier = createClassifier(options);
    const before = performance.now();
    for (const row of rows) classifier.classify(row, '2026-03-01T02:10:00.000Z');
    return rows.length / ((performance.now() - before) / 1000);
  });
  console.log(
    `${name.padEnd(44)} ${Math.round(median(rates)).toLocaleString('en-US').padStart(12)} failures/s`,
  );
}

const OWN_RULES: ClassifierOptions['rules'] = [
  { match: 'code', value: 'ENTITY_IS_LOCKED', category: 'LOCK', retryable: true },
  { match: 'contains', value: 'Handover', category: 'REFERENCE', retryable: true },
  { match: 'regex', value: 'rate ?limit|try again', category: 'TRANSIENT', retryable: true },
];

const repeated = rowsOf(false);
const distinct = rowsOf(true);
measure('complete, texts that repeat', repeated, { ruleSet: 'complete' });
measure('complete, every text its own', distinct, { ruleSet: 'complete' });
measure('complete + 3 own rules, texts that repeat', repeated, { ruleSet: 'complete', rules: OWN_RULES });
measure('complete + 3 own rules, every text its own', distinct, { ruleSet: 'complete', rules: OWN_RULES });
measure('mule, every text its own', distinct, { ruleSet: 'mule' });
