import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What dist/ is made of; a folder's own time tells of files that are gone. */
const SOURCES = [
  '{nodes,src,icons}',
  '{nodes,src,icons}/**',
  'scripts/build.ts',
  'tsconfig*.json',
  'package.json',
];

/** Whether dist/ is missing or older than something that it is made of. */
export function isStale(root: string): boolean {
  const built = times(root, ['dist/**/*.js']);
  return built.length === 0 || Math.min(...built) < Math.max(...times(root, SOURCES));
}

function times(root: string, patterns: string[]): number[] {
  return globSync(patterns, { cwd: root }).map((path) => statSync(join(root, path)).mtimeMs);
}
