import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { isStale } from './stale.ts';

/**
 * Builds dist/, which is what the package ships: nodes/ and src/ compiled, and beside them what the compiler leaves.
 * Node-RED looks for the form of an entry beside the entry, and for icons and locales in folders beside it, nowhere else.
 *
 * It is built elsewhere and put in place when it is whole, so that neither an interruption nor another build at the same
 * time leaves half of one. With --if-stale a dist/ that is newer than all that it is made of stays, and so does one that
 * another build has put there meanwhile: somebody may run it already.
 */
const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');
const ifStale = process.argv.includes('--if-stale');

if (!ifStale || isStale(root)) build();

function build(): void {
  mkdirSync(join(root, '.sandbox'), { recursive: true });
  const workshop = mkdtempSync(join(root, '.sandbox/build-'));
  process.once('exit', () => rmSync(workshop, { recursive: true, force: true }));
  // The signal is seen when the compiler has ended, which it reaches as well.
  process.once('SIGINT', () => process.exit(130));
  const built = join(workshop, 'dist');
  compile(built);
  copyInPlace('nodes/**/*.html', built);
  copyInPlace('nodes/**/*.json', built);
  copyInPlace('src/**/*.{sql,csv}', built);
  copyIcons(built);
  if (!ifStale || isStale(root)) replace(built, workshop);
  console.log(`Built ${globSync('**/*.js', { cwd: dist }).length} modules into dist/.`);
}

function compile(outDir: string): void {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json');
  const tsc = join(dirname(compiler), 'bin/tsc');
  try {
    execFileSync(process.execPath, [tsc, '--project', 'tsconfig.build.json', '--outDir', outDir], {
      cwd: root,
      stdio: 'inherit',
    });
  } catch {
    // The compiler has printed what is wrong.
    process.exit(1);
  }
}

function copyInPlace(pattern: string, to: string): void {
  for (const path of globSync(pattern, { cwd: root })) copy(path, join(to, path));
}

function copyIcons(to: string): void {
  for (const path of globSync('icons/*.svg', { cwd: root }))
    copy(path, join(to, 'nodes/icons', basename(path)));
}

function copy(from: string, target: string): void {
  if (existsSync(target)) throw new Error(`${target} would be written twice.`);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(root, from), target);
}

/** A folder that is not empty cannot be written over, so the old one makes way; the build that comes second does it again. */
function replace(built: string, workshop: string): void {
  for (let tries = 1; ; tries += 1) {
    if (existsSync(dist)) moveAway(join(workshop, `before-${tries}`));
    try {
      renameSync(built, dist);
      return;
    } catch (error) {
      if (!isCode(error, 'ENOTEMPTY', 'EEXIST', 'EPERM') || tries === 10) throw error;
    }
  }
}

function moveAway(to: string): void {
  try {
    renameSync(dist, to);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes(String((error as NodeJS.ErrnoException).code));
}
