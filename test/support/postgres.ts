import { type EmbeddedPostgres, startPostgres } from '../../sandbox/postgres/embedded-postgres.ts';
import type { DatabaseConfig } from '../../src/database/database-config.ts';

let server: Promise<EmbeddedPostgres> | undefined;
let databases = 0;

/** The one server of this test process, started when first asked for. It stops when the process ends. */
export function testServer(): Promise<EmbeddedPostgres> {
  server ??= startPostgres({ fsync: false });
  return server;
}

export interface TestDatabase {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  url: string;
}

/** An empty database of its own for each caller, on the shared server. It goes with the server. */
export async function testDatabase(): Promise<TestDatabase> {
  const { host, port, user, password, createDatabase } = await testServer();
  databases += 1;
  const database = `test_${databases}`;
  return { host, port, user, password, database, url: await createDatabase(database) };
}

/** As the product is told of it. */
export function configOf(
  { host, port, user, password, database }: Omit<TestDatabase, 'url'>,
  change: Partial<DatabaseConfig> = {},
): DatabaseConfig {
  return { host, port, user, password, database, ssl: 'disable', poolSize: 4, ...change };
}

process.once('beforeExit', () => {
  void server?.then((running) => running.stop());
});
