import { parseArgs } from 'node:util';

export interface LauncherOptions {
  /** Of the seeded table. */
  rows: number;
  /** Undefined: 1880, or in `once` mode any free one. */
  port: number | undefined;
  /** One load, then the end. */
  once: boolean;
  /** The outcome as one line of JSON, last. */
  json: boolean;
  /** The org only counts records: for figures of memory and speed. */
  sink: boolean;
  /** Runs the flow a second time, which must load nothing. */
  twice: boolean;
}

/** What was typed cannot be understood; the message says why. */
export class UsageError extends Error {}

export const USAGE = `Usage: npm start -- [options]

Starts a PostgreSQL with a seeded table, a local Salesforce org and Node-RED with the example flow, performs one load, and
leaves the editor open until Ctrl-C. Nothing is kept afterwards.

  --rows N   rows of the source table (default 10000)
  --port N   port of the Node-RED editor (default 1880; with --once any that is free)
  --once     perform the load and end; exit code 0 only if source rows, org and dead letters agree
  --json     print the outcome as one line of JSON, last
  --twice    run the flow a second time and check that nothing is loaded
  --sink     the org counts records and stores none; agreement is checked by counts
  --help     show this`;

const MOST_ROWS = 150_000_000;

/**
 * Reads the command line; undefined when help was asked for.
 *
 * @throws UsageError
 */
export function readOptions(args: string[]): LauncherOptions | undefined {
  const values = parsed(args);
  if (values.help) return undefined;
  return {
    rows: wholeNumber('--rows', values.rows, 0, MOST_ROWS) ?? 10_000,
    port: wholeNumber('--port', values.port, 0, 65_535),
    once: values.once,
    json: values.json,
    sink: values.sink,
    twice: values.twice,
  };
}

function parsed(args: string[]) {
  const flag = { type: 'boolean', default: false } as const;
  const text = { type: 'string' } as const;
  try {
    const options = { rows: text, port: text, once: flag, json: flag, sink: flag, twice: flag, help: flag };
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(
  name: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not ${text}.`);
}
