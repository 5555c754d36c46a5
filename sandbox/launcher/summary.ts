import type { FinishedLoad } from './load.ts';

/** What `--json` prints last. */
export interface Outcome {
  rows: number;
  succeeded: number;
  retried: number;
  deadLettered: number;
  unprocessed: number;
  unaccounted: number;
  seconds: number;
}

export function outcomeOf({ receipt, seconds }: FinishedLoad, rows: number): Outcome {
  const { succeeded, retried, deadLettered, unprocessed, unaccounted } = receipt;
  const rounded = Math.round(seconds * 10) / 10;
  return { rows, succeeded, retried, deadLettered, unprocessed, unaccounted, seconds: rounded };
}

/** The receipt in words, for a person. */
export function summary(load: FinishedLoad, rows: number, peakMemory: number | undefined): string {
  const { receipt, seconds } = load;
  const lines: [number, string][] = [
    [receipt.succeeded, 'loaded at once'],
    [receipt.retried, 'loaded on retry'],
    [receipt.deadLettered, `dead letters${codes(receipt.byErrorCode)}`],
    [receipt.unprocessed, 'not processed, still READY'],
    [receipt.unaccounted, 'unaccounted for'],
  ];
  const width = Math.max(...lines.map(([count]) => grouped(count).length)) + 2;
  const memory =
    peakMemory === undefined ? '' : `, ${Math.round(peakMemory / 2 ** 20)} MiB at most in Node-RED`;
  const speed = seconds > 0 && rows > 0 ? ` (${grouped(Math.round(rows / seconds))} a second)` : '';
  return [
    `Receipt: ${grouped(rows)} rows in ${seconds.toFixed(1)} s${speed}`,
    ...lines.map(([count, what]) => `${grouped(count).padStart(width)}  ${what}`),
    `${grouped(receipt.apiCalls)} API calls${memory}.`,
  ].join('\n');
}

/** All errors that Salesforce gave, those included that a retry healed. */
function codes(byErrorCode: Record<string, number>): string {
  const sorted = Object.entries(byErrorCode).sort(([, a], [, b]) => b - a);
  if (sorted.length === 0) return '';
  const shown = sorted.slice(0, 6).map(([code, count]) => `${code} ${grouped(count)}`);
  return `; errors: ${shown.join(', ')}${sorted.length > 6 ? ', …' : ''}`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
