import { PostgresLedger } from '../../../src/database/ledger/postgres-ledger.ts';
import { Database } from '../../../src/database/pool.ts';
import { configOf, testDatabase } from '../../support/postgres.ts';
import { jobLedgerSuite } from './job-ledger.suite.ts';

describe('ledger in PostgreSQL', () => {
  let db: Database;
  let ledger: PostgresLedger;
  const emptyDbs: Database[] = [];

  before(async () => {
    db = new Database(configOf(await testDatabase()));
    ledger = new PostgresLedger(db);
  });
  after(async () => {
    await ledger.close();
    await Promise.all([db, ...emptyDbs].map((each) => each.close()));
  });

  jobLedgerSuite(
    () => ledger,
    async () => {
      const emptyDb = new Database(configOf(await testDatabase()));
      emptyDbs.push(emptyDb);
      return new PostgresLedger(emptyDb);
    },
  );
});
