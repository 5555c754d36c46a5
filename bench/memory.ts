import { readFileSync } from 'node:fs';

/** The most memory that a process ever had resident (VmHWM), in bytes. Linux only. */
export function peakMemory(pid: number | 'self'): number {
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined)
    throw new Error('The peak of a process is read from /proc, which this system has not.');
  return Number(kilobytes) * 1024;
}
