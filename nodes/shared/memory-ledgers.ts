import { MemoryLedger } from '../../src/database/ledger/memory-ledger.ts';

const ledgers = new Map<string, MemoryLedger>();

/** Of a connection without a ledger in PostgreSQL: it outlives a redeploy of its node, not the process. */
export function memoryLedgerOf(nodeId: string): MemoryLedger {
  const known = ledgers.get(nodeId);
  if (known) return known;
  const ledger = new MemoryLedger();
  ledgers.set(nodeId, ledger);
  return ledger;
}
