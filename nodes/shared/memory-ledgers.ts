import { MemoryLedger } from '../../src/database/ledger/memory-ledger.ts';
import type { Node } from './red.ts';
import { text } from './texts.ts';

const ledgers = new Map<string, MemoryLedger>();

/** Of a connection without a ledger in PostgreSQL: it outlives a redeploy of its node, not the process. */
export function memoryLedgerOf(nodeId: string): MemoryLedger {
  const known = ledgers.get(nodeId);
  if (known) return known;
  const ledger = new MemoryLedger();
  ledgers.set(nodeId, ledger);
  return ledger;
}

/** Nodes that have said so in this process: at a restart it matters, at each deploy it does not. */
const warned = new Set<string>();

/** What a process without a ledger cannot know (design §7). */
export function warnOfNoLedger(node: Node, loadName: string): void {
  if (warned.has(node.id)) return;
  warned.add(node.id);
  node.warn(text('warning.noLedger', { load: loadName }));
}
