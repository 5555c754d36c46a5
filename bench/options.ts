import { parseArgs } from 'node:util';
import { isPathName, PATHS, type PathName } from './paths.ts';

export interface BenchOptions {
  /** Of the source table. */
  rows: number;
  /** Of each path; they alternate. */
  runs: number;
  paths: PathName[];
  /** Between two looks at a job, the same for all paths. */
  pollMs: number;
}

/** What was typed cannot be understood; the message says why. */
export class UsageError extends Error {}

const DEFAULT_PATHS: PathName[] = ['ours', 'ours-default', 'ours-csv', 'array', 'stream', 'strings', 'floor'];

export const USAGE = `Usage: npm run bench -- [options]

Loads the same rows through each path, in turns, and prints medians.

  --rows N        rows of the source table (default 1000000)
  --runs N        runs of each path (default 3)
  --only A,B,…    only these paths; default ${DEFAULT_PATHS.join(',')}
  --poll MS       between two looks at a job (default 500)
  --help          show this

Paths:
${Object.entries(PATHS)
  .map(([name, { title }]) => `  ${name.padEnd(14)}${title}`)
  .join('\n')}`;

/**
 * Reads the command line; undefined when help was asked for.
 *
 * @throws UsageError
 */
export function readOptions(args: string[]): BenchOptions | undefined {
  const values = parsed(args);
  if (values.help) return undefined;
  return {
    rows: wholeNumber('--rows', values.rows, 1_000_000),
    runs: wholeNumber('--runs', values.runs, 3),
    paths: pathsOf(values.only),
    pollMs: wholeNumber('--poll', values.poll, 500),
  };
}

function pathsOf(only: string | undefined): PathName[] {
  if (only === undefined) return DEFAULT_PATHS;
  return only.split(',').map((name) => {
    if (isPathName(name)) return name;
    throw new UsageError(`--only: there is no path ${name}; there are ${Object.keys(PATHS).join(', ')}.`);
  });
}

function parsed(args: string[]) {
  const text = { type: 'string' } as const;
  const options = {
    rows: text,
    runs: text,
    only: text,
    poll: text,
    help: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new UsageError(`${name} must be a whole number from 1, not ${text}.`);
}
