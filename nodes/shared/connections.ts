import type { Database } from '../../src/database/pool.ts';
import type { SalesforceConnection } from '../../src/load/connection.ts';
import type { Node } from './red.ts';

/** What `sf-connection` offers the nodes that use it. */
export interface SfConnectionNode extends Node {
  /** Throws CONFIG_INVALID when the node's own properties are wrong. */
  readonly connection: SalesforceConnection;
}

/** What `sync-database` offers the nodes that use it. */
export interface SyncDatabaseNode extends Node {
  /** Throws CONFIG_INVALID when the node's own properties are wrong. */
  readonly database: Database;
}
