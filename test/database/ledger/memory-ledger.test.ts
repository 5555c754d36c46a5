import { MemoryLedger } from '../../../src/database/ledger/memory-ledger.ts';
import { jobLedgerSuite } from './job-ledger.suite.ts';

describe('ledger in memory', () => {
  const ledger = new MemoryLedger();
  jobLedgerSuite(
    () => ledger,
    async () => new MemoryLedger(),
  );
});
