/** A PostgreSQL database that several nodes use: the source table, the dead letters, the ledger. */
import { SSL_MODES } from '../src/database/database-config.ts';
import { Database } from '../src/database/pool.ts';
import type { LoadError } from '../src/errors.ts';
import { registerDatabaseAdmin } from './shared/admin/database-admin.ts';
import { type ConfigReader, readConfig, type Validated } from './shared/config.ts';
import { onClose } from './shared/config-node.ts';
import type { SyncDatabaseNode } from './shared/connections.ts';
import type { Node, NodeConfig, Red } from './shared/red.ts';
import { useCatalogue } from './shared/texts.ts';
import { tlsOptions } from './shared/tls.ts';

/** The html's defaults: name, host, port, database, ssl, tls, poolSize; credentials user, password. */
export default function (RED: Red): void {
  useCatalogue(RED);
  registerDatabaseAdmin(RED);

  function SyncDatabase(this: SyncDatabaseNode, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const settings = readConfig(RED, this, config, readDatabase);
    const database = opened(settings);
    Object.defineProperty(this, 'database', {
      get: () => {
        if (database instanceof Database) return database;
        throw database;
      },
    });
    if (!settings.ok) this.error(settings.error.message);
    onClose(this, async () => {
      if (database instanceof Database) await database.close();
    });
  }

  RED.nodes.registerType('sync-database', SyncDatabase as (this: Node, config: NodeConfig) => void, {
    credentials: { user: { type: 'text' }, password: { type: 'password' } },
  });
}

function readDatabase(properties: ConfigReader) {
  return {
    host: properties.text('host'),
    port: properties.integer('port', { min: 1, max: 65_535, default: 5432 }),
    database: properties.text('database'),
    user: properties.secret('user'),
    password: properties.optionalSecret('password') ?? '',
    ssl: properties.oneOf('ssl', SSL_MODES, 'disable'),
    tls: tlsOptions(properties),
    poolSize: properties.integer('poolSize', { min: 1, max: 200, default: 10 }),
  };
}

function opened(settings: Validated<ReturnType<typeof readDatabase>>): Database | LoadError {
  return settings.ok ? new Database(settings.value) : settings.error;
}
