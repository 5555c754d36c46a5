/**
 * Kills a load at random moments, again and again, and looks whether it kept its promises (docs/reliability.md):
 * `npm run chaos:kill -- --runs 100 --seed 1`. A run that did not is repeated with its own seed: `--runs 1 --seed <seed>`.
 */
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildIfStale } from '../../sandbox/launcher/built-package.ts';
import { REPOSITORY } from '../support/node-red-package.ts';
import { describeMoment } from './kill-plan.ts';
import { disturbed, type Outcome, surprises, undisturbed } from './kill-run.ts';
import { World } from './kill-world.ts';

const JOBS = 9;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    rows: { type: 'string', default: '50000' },
    timeout: { type: 'string', default: '90' },
    package: { type: 'string' },
  },
});
const [runs, firstSeed, rows] = [Number(values.runs), Number(values.seed), Number(values.rows)];
const timeoutMs = Number(values.timeout) * 1000;

const folder = values.package ?? (await copyOfPackage());
const world = await World.open({
  packages: [{ folder }],
  flow: { maxRecordsPerJob: Math.ceil(rows / JOBS) },
});
const outcomes: Outcome[] = [];
try {
  await world.seed([]);
  const warm = await undisturbed(world, rows, timeoutMs);
  report(warm, 'warm-up');
  const calm = await undisturbed(world, rows, timeoutMs);
  report(calm, 'undisturbed');
  for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
    const outcome = await disturbed(world, seed, { rows, usualMs: calm.ms, timeoutMs });
    outcomes.push(outcome);
    report(outcome, `seed ${seed}`);
    // A process in which something went wrong may make the next run look wrong as well.
    if (outcome.violations.length > 0) for (const place of [...world.running.keys()]) await world.kill(place);
  }
} finally {
  await world.close();
  if (values.package === undefined) await rm(folder, { recursive: true, force: true });
}
summarise(outcomes);

/** What is tested stays the same for hours, whatever is built meanwhile. */
async function copyOfPackage(): Promise<string> {
  await buildIfStale(console.log);
  const copy = await mkdtemp(join(tmpdir(), 'sf-bulk-kill-'));
  await cp(join(REPOSITORY, 'dist'), join(copy, 'dist'), { recursive: true });
  await cp(join(REPOSITORY, 'package.json'), join(copy, 'package.json'));
  await symlink(join(REPOSITORY, 'node_modules'), join(copy, 'node_modules'), 'dir');
  return copy;
}

function report(outcome: Outcome, name: string): void {
  const { plan, violations, errors } = outcome;
  const how =
    plan === undefined
      ? ''
      : ` ${plan.variant} ${describeMoment(plan.first)}${plan.variant === 'twice' ? `, ${describeMoment(plan.second)}` : ''}`;
  const doubt = outcome.inDoubt > 0 ? `, ${outcome.inDoubt} in doubt (${outcome.inDoubtStored} stored)` : '';
  const paused =
    outcome.storedTwiceByRest > 0 ? `, ${outcome.storedTwiceByRest} twice by a paused write` : '';
  const told = Object.entries(errors)
    .map(([code, count]) => ` ${code}×${count}`)
    .join('');
  console.log(
    `${name}:${how}: ${(outcome.ms / 1000).toFixed(1)} s, ${outcome.runs} runs, ${outcome.jobs} jobs, ${outcome.triggers} triggers, ` +
      `${outcome.done} done, ${outcome.deadLetters} dead${doubt}${paused}${told} ${violations.length === 0 ? 'ok' : 'VIOLATED'}`,
  );
  for (const violation of violations) console.log(`  ${violation}`);
}

function summarise(all: Outcome[]): void {
  const sum = (of: (outcome: Outcome) => number) => all.reduce((total, outcome) => total + of(outcome), 0);
  const wrong = all.filter(({ violations }) => violations.length > 0);
  const told = new Set(all.flatMap(surprises));
  console.log(
    `\n${all.length} runs, ${sum(({ rows: count }) => count)} rows, ${sum(({ runs: count }) => count)} runs of the load, ` +
      `${sum(({ jobs }) => jobs)} jobs settled: ${wrong.length} violated` +
      `${wrong.length > 0 ? ` (seeds ${wrong.map(({ plan }) => plan?.seed).join(', ')})` : ''}.\n` +
      `IN_DOUBT: ${sum(({ inDoubt }) => inDoubt)} records, ${sum(({ inDoubtStored }) => inDoubtStored)} of them stored. ` +
      `By a REST write of a paused process: ${sum(({ storedTwiceByRest }) => storedTwiceByRest)} stored twice.\n` +
      `Triggers: ${sum(({ triggers }) => triggers)}. Errors beyond what a trigger is told: ${[...told].join(', ') || 'none'}.\n` +
      `Longest run ${Math.max(0, ...all.map(({ ms }) => ms)) / 1000} s.`,
  );
  process.exitCode = wrong.length > 0 ? 1 : 0;
}
