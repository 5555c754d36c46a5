import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import type { ClientConfig } from 'pg';

export const SSL_MODES = ['disable', 'require', 'verify-full'] as const;
/** `require` encrypts and trusts any certificate; `verify-full` checks its authority and its host name. */
export type SslMode = (typeof SSL_MODES)[number];

/** PEM texts and names, as Node-RED's `tls-config` gives them. */
export type TlsOptions = Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'servername'>;

export interface DatabaseConfig {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  ssl: SslMode;
  tls?: TlsOptions | undefined;
  /** Connections for statements. Selects and locks have one of their own beside them. */
  poolSize: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_AFTER_MS = 10_000;

/** Every setting is given: the driver would fill gaps from the PG… variables of the environment. */
export function clientConfig(config: DatabaseConfig, applicationName: string): ClientConfig {
  return {
    host: config.host,
    port: config.port,
    database: config.database,
    user: config.user,
    // An empty one too: in place of a bare '' the driver takes PGPASSWORD or what ~/.pgpass has.
    password: () => config.password,
    sslnegotiation: 'postgres',
    ssl: sslOptions(config),
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
  };
}

function sslOptions({ ssl, tls = {}, host }: DatabaseConfig): false | ConnectionOptions {
  if (ssl === 'disable') return false;
  const given = Object.fromEntries(
    Object.entries(tls).filter(([, value]) => value !== undefined && value !== ''),
  );
  if (ssl === 'require') return { ...given, rejectUnauthorized: false };
  const name = tls.servername || host;
  return {
    ...given,
    rejectUnauthorized: true,
    // The driver puts the host in place of a given server name, and has none for an IP address.
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  };
}
