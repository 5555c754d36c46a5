import type { NodeConfig } from './red.ts';

/** Whether anything is wired to an output, the first being 0. */
export function isWired({ wires }: NodeConfig, output: number): boolean {
  const ends: unknown = Array.isArray(wires) ? wires[output] : undefined;
  return Array.isArray(ends) && ends.length > 0;
}
