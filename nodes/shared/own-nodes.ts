import type { Node } from './red.ts';

const accountable = new WeakSet<Node>();

/**
 * Notes that every message a node receives ends in exactly one `done`, with an error where there is one: nodes on the
 * shared runner. Such a node may take its time, and what it logs besides says nothing about a message.
 */
export function markAccountable(node: Node): void {
  accountable.add(node);
}

export function isAccountable(node: Node): boolean {
  return accountable.has(node);
}
