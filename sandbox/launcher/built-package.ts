import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { isStale } from '../../scripts/stale.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');

/** Builds dist/, which Node-RED loads, unless it is newer than all that it is made of. */
export async function buildIfStale(report: (text: string) => void): Promise<void> {
  if (!isStale(REPOSITORY)) return;
  report('Building dist/ …');
  try {
    await promisify(execFile)(process.execPath, ['scripts/build.ts', '--if-stale'], { cwd: REPOSITORY });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`dist/ could not be built:\n${stdout ?? ''}${stderr ?? ''}`);
  }
}
