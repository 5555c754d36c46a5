import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Run } from './measurement.ts';
import type { PathName } from './paths.ts';
import type { Surroundings } from './surroundings.ts';

const warmed = new Set<PathName>();
let cache: string | undefined;

/** One load by a peer, in a process of its own, from when it is connected to both sides to its last result. */
export async function runPeer(path: PathName, { env, rows }: Surroundings, pollMs: number): Promise<Run> {
  if (!warmed.has(path)) await program(path, {});
  warmed.add(path);
  const output = await program(path, { ...env, BENCH_POLL_MS: String(pollMs), BENCH_ROWS: String(rows) });
  const run = JSON.parse(output) as Run;
  if (run.succeeded + run.failed !== rows) throw new Error(`${path} did not load all rows: ${output}`);
  return run;
}

async function program(path: PathName, env: Record<string, string>): Promise<string> {
  const file = fileURLToPath(new URL(`peers/${path}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file], {
    env: { ...process.env, NODE_COMPILE_CACHE: cacheDirectory(), ...env },
  });
  return stdout;
}

/** With what a first run leaves there, no later one holds the stripper of types in memory, which no user of jsforce has. */
function cacheDirectory(): string {
  if (cache === undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'sf-bulk-bench-'));
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
    cache = directory;
  }
  return cache;
}
