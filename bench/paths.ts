/** The ways that are compared, and where each gets its rows. */
export const PATHS = {
  ours: {
    title: 'our flow in Node-RED, in little memory (as npm start runs it)',
    rows: 'sync-select: a cursor, 5,000 rows at a time',
  },
  'ours-default': {
    title: 'our flow in Node-RED as it is installed, V8 without limits',
    rows: 'sync-select: a cursor, 5,000 rows at a time',
  },
  'ours-memory': {
    title: 'our flow in Node-RED, in little memory, ledger in memory',
    rows: 'sync-select: a cursor, 5,000 rows at a time',
  },
  'ours-csv': {
    title: 'our flow in Node-RED, in little memory, rows selected as a CSV file',
    rows: 'sync-select, lane csv: COPY … TO STDOUT into a file',
  },
  example: {
    title: 'examples/flows.json whole: dead letters and write-back included',
    rows: 'sync-select: a cursor, 5,000 rows at a time',
  },
  array: {
    title: 'jsforce loadAndWaitForResults, rows as an array',
    rows: 'pg: one SELECT, all rows as objects',
  },
  stream: {
    title: 'jsforce loadAndWaitForResults, rows as a CSV stream',
    rows: 'pg-copy-streams: COPY … TO STDOUT, piped into jsforce',
  },
  strings: {
    title: 'jsforce by hand, results as raw strings',
    rows: 'pg-copy-streams: COPY … TO STDOUT, piped into jsforce',
  },
  floor: {
    title: 'the floor: COPY to a file, one PUT of it, results to files',
    rows: 'pg-copy-streams: COPY … TO STDOUT, into a file',
  },
} as const;

export type PathName = keyof typeof PATHS;

export function isPathName(name: string): name is PathName {
  return Object.hasOwn(PATHS, name);
}
