/**
 * Loads under random faults of network and org, again and again, and looks whether each kept its promises
 * (docs/reliability.md): `npm run chaos:http -- --runs 100 --seed 1`. A run that did not is repeated with its own seed:
 * `--runs 1 --seed <seed>`.
 */
import { parseArgs } from 'node:util';
import { disturbedByHttp, type HttpOutcome } from './http-run.ts';
import { NightWorld } from './night-world.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    rows: { type: 'string', default: '20000' },
    probability: { type: 'string', default: '0.05' },
  },
});
const [runs, firstSeed, rows, probability] = [values.runs, values.seed, values.rows, values.probability].map(
  Number,
) as [number, number, number, number];

const outcomes: HttpOutcome[] = [];
const world = await NightWorld.open();
try {
  for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
    const outcome = await disturbedByHttp(world, seed, { rows, probability });
    outcomes.push(outcome);
    report(outcome);
  }
} finally {
  await world.close();
}
summarise();

function report(outcome: HttpOutcome): void {
  const { seed, jobs, requests, struck, triggers, errors, inDoubt, ms, violations } = outcome;
  const heard = Object.entries(errors).map(([code, count]) => `${count} ${code}`);
  const parts = [
    `seed ${seed}: ${outcome.rows} rows in ${jobs} jobs`,
    `${struck} of ${requests} requests struck`,
    `${triggers} triggers${heard.length > 0 ? ` (${heard.join(', ')})` : ''}`,
    ...(inDoubt > 0 ? [`${inDoubt} in doubt`] : []),
    `${(ms / 1000).toFixed(1)} s`,
  ];
  console.log(`${violations.length === 0 ? 'ok  ' : 'FAIL'} ${parts.join(', ')}`);
  for (const violation of violations) console.log(`     ${violation}`);
}

function summarise(): void {
  const failed = outcomes.filter(({ violations }) => violations.length > 0);
  const sum = (field: 'rows' | 'jobs' | 'requests' | 'struck' | 'deadLetters' | 'inDoubt' | 'ms') =>
    outcomes.reduce((total, outcome) => total + outcome[field], 0).toLocaleString('en-US');
  console.log(
    `\n${outcomes.length} loads of ${rows.toLocaleString('en-US')} rows (${sum('jobs')} jobs), ${sum('struck')} of ` +
      `${sum('requests')} requests struck: ${outcomes.length - failed.length} kept every promise, ${failed.length} did not; ` +
      `${sum('deadLetters')} dead letters, ${sum('inDoubt')} of them in doubt; ${sum('ms')} ms`,
  );
  if (failed.length === 0) return;
  console.log(`Seeds to repeat: ${failed.map(({ seed }) => seed).join(', ')}`);
  process.exitCode = 1;
}
