import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * Builds dist/, which is what the package ships: nodes/ and src/ compiled, and beside them what the compiler leaves.
 * Node-RED looks for the form of an entry beside the entry, and for icons and locales in folders beside it, nowhere else.
 */
const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
compile();
copyInPlace('nodes/**/*.html');
copyInPlace('nodes/**/*.json');
copyInPlace('src/**/*.{sql,csv}');
copyIcons();
console.log(`Built ${globSync('**/*.js', { cwd: dist }).length} modules into dist/.`);

function compile(): void {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json');
  const tsc = join(dirname(compiler), 'bin/tsc');
  try {
    execFileSync(process.execPath, [tsc, '--project', 'tsconfig.build.json'], {
      cwd: root,
      stdio: 'inherit',
    });
  } catch {
    // The compiler has printed what is wrong; a half-built dist/ would only mislead.
    rmSync(dist, { recursive: true, force: true });
    process.exit(1);
  }
}

function copyInPlace(pattern: string): void {
  for (const path of globSync(pattern, { cwd: root })) copy(path, path);
}

function copyIcons(): void {
  for (const path of globSync('icons/*.svg', { cwd: root })) copy(path, join('nodes/icons', basename(path)));
}

function copy(from: string, to: string): void {
  const target = join(dist, to);
  if (existsSync(target)) throw new Error(`${to} would be written twice.`);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(root, from), target);
}
