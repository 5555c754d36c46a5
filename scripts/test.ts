/**
 * `npm test`: lint, types, build, then every test, in groups that run side by side. The last line counts all of it; each
 * check counts as one.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';

interface Step {
  name: string;
  command: string[];
}

interface Outcome {
  name: string;
  passed: number;
  failed: number;
}

const CHECKS: Step[] = [
  { name: 'lint', command: ['biome', 'check', '.'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'build', command: ['node', 'scripts/build.ts'] },
];

/** A real Node-RED and a browser keep one core busy, the rest the other. */
const WHOLE_PROGRAM = ['test/runtime', 'test/editor', 'test/package', 'test/chaos'];

const outcomes: Outcome[] = [];
for (const check of CHECKS) outcomes.push(await runCheck(check));
outcomes.push(...(await Promise.all(groups().map(runTests))));

const passed = sum('passed');
const failed = sum('failed');
for (const outcome of outcomes)
  console.log(`${outcome.name}: ${outcome.passed} passed, ${outcome.failed} failed`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function sum(field: 'passed' | 'failed'): number {
  return outcomes.reduce((total, outcome) => total + outcome[field], 0);
}

function groups(): { name: string; files: string[] }[] {
  const files = globSync('test/**/*.test.ts').sort();
  const whole = files.filter((file) => WHOLE_PROGRAM.some((folder) => file.startsWith(`${folder}/`)));
  return [
    { name: 'parts', files: files.filter((file) => !whole.includes(file)) },
    { name: 'whole program', files: whole },
  ].filter((group) => group.files.length > 0);
}

async function runCheck({ name, command }: Step): Promise<Outcome> {
  console.log(`\n> ${name}`);
  const { code } = await run(command, (text) => process.stdout.write(text));
  return { name, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
}

/** Output is shown when the group is done, so that two groups do not write into each other's lines. */
async function runTests({ name, files }: { name: string; files: string[] }): Promise<Outcome> {
  let output = '';
  const { code } = await run(['mocha', ...files], (text) => {
    output += text;
  });
  console.log(`\n> tests of ${name}\n${output}`);
  const passed = count(output, 'passing');
  const failed = Math.max(count(output, 'failing'), code === 0 && passed > 0 ? 0 : 1);
  return { name, passed, failed };
}

function count(output: string, word: 'passing' | 'failing'): number {
  return Number(new RegExp(`^\\s+(\\d+) ${word}`, 'm').exec(output)?.[1] ?? 0);
}

function run(
  [command = '', ...args]: string[],
  onOutput: (text: string) => void,
): Promise<{ code: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (chunk) => onOutput(String(chunk)));
    child.stderr.on('data', (chunk) => onOutput(String(chunk)));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code }));
  });
}
