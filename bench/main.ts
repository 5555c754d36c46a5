/** `npm run bench`: the same rows through our flow and through its peers. See bench/README.md. */
import { buildIfStale } from '../sandbox/launcher/built-package.ts';
import { Interrupted, interruption, Resources, unlessAborted } from '../sandbox/launcher/resources.ts';
import { difference, type Measurement, measured, medians } from './measurement.ts';
import { type BenchOptions, readOptions, USAGE, UsageError } from './options.ts';
import type { PathName } from './paths.ts';
import { runFlow } from './run-flow.ts';
import { runPeer } from './run-peer.ts';
import { Surroundings } from './surroundings.ts';
import { load, machine, sources, table } from './table.ts';

const FLOWS: ReadonlySet<PathName> = new Set(['ours', 'ours-default', 'ours-memory', 'ours-csv', 'example']);

process.exitCode = await main(process.argv.slice(2));

/** Returns the exit code. */
async function main(args: string[]): Promise<number> {
  const resources = new Resources();
  const interrupted = interruption();
  try {
    const options = readOptions(args);
    if (options === undefined) {
      console.log(USAGE);
      return 0;
    }
    await unlessAborted(bench(options, resources), interrupted);
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) return error.exitCode;
    console.error(error instanceof UsageError ? `${error.message}\n\n${USAGE}` : error);
    return error instanceof UsageError ? 2 : 1;
  } finally {
    await resources.close((text) => console.error(text));
  }
}

async function bench({ rows, runs, paths, pollMs }: BenchOptions, resources: Resources): Promise<void> {
  await buildIfStale(console.log);
  console.log(`Machine: ${machine()}. Load before: ${load()}.`);
  console.log(`Starting PostgreSQL with ${rows.toLocaleString('en-US')} rows, and the sandbox org …`);
  const surroundings = await Surroundings.open(rows, resources);
  const all = new Map<PathName, Measurement[]>(paths.map((path) => [path, []]));
  for (let run = 1; run <= runs; run += 1) {
    // There and back again, so that no path always has the same one before it.
    for (const path of run % 2 === 1 ? paths : paths.toReversed()) {
      const measurement = await runOnce(path, surroundings, pollMs);
      all.get(path)?.push(measurement);
      console.log(`run ${run} ${path.padEnd(12)} ${short(measurement)}; load ${load()}`);
    }
  }
  const result = paths.map((path): [PathName, Measurement] => [path, medians(all.get(path) ?? [])]);
  console.log(
    `\n${rows.toLocaleString('en-US')} rows, medians of ${runs} alternating runs, poll every ${pollMs} ms, ` +
      `${new Date().toISOString().slice(0, 10)}\n\n${table(rows, result)}\n\nWhere the rows come from:\n${sources(paths)}`,
  );
  if (paths.length === 2) console.log(inPairs(paths, all));
}

/** Of two paths, what tells them apart better than medians: a small difference drowns in what the machine does besides. */
function inPairs(paths: PathName[], all: Map<PathName, Measurement[]>): string {
  const [first = [], second = []] = paths.map((path) => all.get(path));
  const { mean, standardError, median } = difference(first, second);
  return (
    `\n${paths.join(' less ')}, in pairs: mean ${mean.toFixed(2)} s (standard error ${standardError.toFixed(2)}), ` +
    `median ${median.toFixed(2)} s`
  );
}

async function runOnce(path: PathName, surroundings: Surroundings, pollMs: number): Promise<Measurement> {
  await surroundings.reset();
  const run = await (FLOWS.has(path) ? runFlow : runPeer)(path, surroundings, pollMs);
  return measured(run, await surroundings.requests());
}

function short({ seconds, toUploadComplete, processing, results, peak }: Measurement): string {
  const stages = [toUploadComplete, processing, results].map((stage) => stage.toFixed(1)).join(' + ');
  return `${seconds.toFixed(1)} s (${stages}), ${(peak / 2 ** 20).toFixed(0)} MiB`;
}
