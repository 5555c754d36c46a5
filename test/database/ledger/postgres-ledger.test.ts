import { PostgresLedger } from '../../../src/database/ledger/postgres-ledger.ts';
import { Database } from '../../../src/database/pool.ts';
import { configOf, testDatabase } from '../../support/postgres.ts';
import { jobLedgerSuite } from './job-ledger.suite.ts';

describe('ledger in PostgreSQL', () => {
  let db: Database;
  let ledger: PostgresLedger;
  const empty: { db: Database; ledger: PostgresLedger }[] = [];

  before(async () => {
    db = new Database(configOf(await testDatabase()));
    ledger = new PostgresLedger(db);
  });
  after(async () => {
    await Promise.all([{ db, ledger }, ...empty].map((each) => each.ledger.close()));
    await Promise.all([{ db, ledger }, ...empty].map((each) => each.db.close()));
  });

  jobLedgerSuite(
    () => ledger,
    async () => {
      const emptyDb = new Database(configOf(await testDatabase()));
      const emptyLedger = new PostgresLedger(emptyDb);
      empty.push({ db: emptyDb, ledger: emptyLedger });
      return emptyLedger;
    },
  );
});
