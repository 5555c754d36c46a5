import { execFile } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const REPOSITORY = resolve(import.meta.dirname, '../..');
/** What dist/ is made of; a folder's own time tells of files that are gone. */
const SOURCES = [
  '{nodes,src,icons}',
  '{nodes,src,icons}/**',
  'scripts/build.ts',
  'tsconfig*.json',
  'package.json',
];

/** Builds dist/, which Node-RED loads, unless it is newer than all that it is made of. */
export async function buildIfStale(report: (text: string) => void): Promise<void> {
  if (!isStale()) return;
  report('Building dist/ …');
  try {
    await promisify(execFile)(process.execPath, ['scripts/build.ts'], { cwd: REPOSITORY });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`dist/ could not be built:\n${stdout ?? ''}${stderr ?? ''}`);
  }
}

function isStale(): boolean {
  const built = times(['dist/**/*.js']);
  return built.length === 0 || Math.min(...built) < Math.max(...times(SOURCES));
}

function times(patterns: string[]): number[] {
  return globSync(patterns, { cwd: REPOSITORY }).map((path) => statSync(join(REPOSITORY, path)).mtimeMs);
}
