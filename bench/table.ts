import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import type { Measurement } from './measurement.ts';
import { PATHS, type PathName } from './paths.ts';

export type Medians = [path: PathName, medians: Measurement][];

/** As Markdown, for the terminal and for bench/README.md. The first path is what the others are compared with. */
export function table(rows: number, measured: Medians): string {
  const base = measured[0]?.[1];
  const lines = measured.map(([path, run]) => [
    PATHS[path].title,
    run.seconds.toFixed(1),
    base === undefined ? '' : ratio(run.seconds, base.seconds),
    run.toUploadComplete.toFixed(1),
    grouped(rows / run.toUploadComplete),
    run.processing.toFixed(1),
    run.results.toFixed(1),
    run.loadOnly.toFixed(1),
    mebibytes(run.peak),
    base === undefined ? '' : ratio(run.peak, base.peak),
    run.idle === undefined ? '' : mebibytes(run.idle),
  ]);
  const heads = [
    'path',
    'seconds',
    '× first',
    'to UploadComplete s',
    'rows/s to there',
    'processing s',
    'results s',
    'load only s',
    'peak RSS MiB',
    '× first',
    'before the load MiB',
  ];
  return aligned([heads, heads.map((_, index) => (index === 0 ? ':--' : '--:')), ...lines]);
}

/** Where each path gets its rows. */
export function sources(paths: PathName[]): string {
  return paths.map((path) => `- ${PATHS[path].title}: ${PATHS[path].rows}`).join('\n');
}

export function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return (
    `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${memory} GiB, ${process.platform} ` +
    `${process.arch}, Node.js ${process.version}`
  );
}

/** Of the last minute and the last five: what else the machine was doing shows here. */
export function load(): string {
  const [one = 0, five = 0] = loadavg();
  return `${one.toFixed(1)}, ${five.toFixed(1)}`;
}

function ratio(value: number, base: number): string {
  return (value / base).toFixed(2);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function aligned(lines: string[][]): string {
  const widths =
    lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map((line) => `| ${line.map((cell, column) => padded(cell, widths[column] ?? 0, column)).join(' | ')} |`)
    .join('\n');
}

function padded(cell: string, width: number, column: number): string {
  if (cell === '--:') return `${'-'.repeat(width - 1)}:`;
  if (cell === ':--') return `:${'-'.repeat(width - 1)}`;
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
