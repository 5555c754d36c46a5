import { type EmbeddedPostgres, startPostgres } from '../../../sandbox/postgres/embedded-postgres.ts';
import type { JobLedger } from '../../../src/database/ledger/job-ledger.ts';
import { PostgresLedger, type PostgresLedgerOptions } from '../../../src/database/ledger/postgres-ledger.ts';
import { Database } from '../../../src/database/pool.ts';
import { configOf } from '../../support/postgres.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';

/** A server that may be broken, a network before it that may be too, and ledgers on it as processes of their own have them. */
export interface LedgerProcesses {
  readonly server: EmbeddedPostgres;
  readonly proxy: TcpProxy;
  aProcess(options?: PostgresLedgerOptions & { via?: TcpProxy; db?: Database }): JobLedger;
  /** Rows of a statement on a connection that nothing breaks. */
  admin<R extends object>(sql: string, values?: unknown[]): Promise<R[]>;
}

/** Registers the hooks that make it for a `describe`, and close what was opened after each test. */
export function ledgerProcesses(): LedgerProcesses {
  let server: EmbeddedPostgres;
  let proxy: TcpProxy;
  const opened: { ledger: PostgresLedger; db: Database }[] = [];

  before(async () => {
    server = await startPostgres({ fsync: false });
    proxy = await TcpProxy.start(server);
  });
  afterEach(async () => {
    proxy.heal();
    for (const { ledger, db } of opened.splice(0)) {
      await ledger.close();
      await db.close(100);
    }
  });
  after(async () => {
    await proxy.stop();
    await server.stop();
  });

  return {
    get server() {
      return server;
    },
    get proxy() {
      return proxy;
    },
    aProcess({ via, db, ...options } = {}) {
      const own = db ?? new Database({ ...configOf(server), port: via?.port ?? server.port });
      const ledger = new PostgresLedger(own, options);
      opened.push({ ledger, db: own });
      return ledger;
    },
    async admin<R extends object>(sql: string, values: unknown[] = []) {
      const db = new Database(configOf(server));
      try {
        return (await db.query<R & Record<string, unknown>>(sql, values)).rows;
      } finally {
        await db.close();
      }
    },
  };
}
