/** A Salesforce org and the way to log in to it, shared by the nodes that load into it. */
import { systemClock } from '../src/clock.ts';
import { PostgresLedger } from '../src/database/ledger/postgres-ledger.ts';
import { SalesforceConnection } from '../src/load/connection.ts';
import type { AuthFlow, Credentials } from '../src/salesforce/credentials.ts';
import { SalesforceSession } from '../src/salesforce/session.ts';
import { registerConnectionAdmin } from './shared/admin/connection-admin.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import { nodeLogger, onClose } from './shared/config-node.ts';
import type { SfConnectionNode, SyncDatabaseNode } from './shared/connections.ts';
import { memoryLedgerOf } from './shared/memory-ledgers.ts';
import type { Node, NodeConfig, Red } from './shared/red.ts';
import { refreshTokenStore } from './shared/refresh-tokens.ts';
import { reportable } from './shared/runner.ts';
import { useCatalogue } from './shared/texts.ts';
import { tlsOptions } from './shared/tls.ts';

const AUTH_FLOWS = ['client-credentials', 'jwt-bearer', 'refresh-token', 'password', 'access-token'] as const;

/**
 * The html's defaults: name, authFlow, loginUrl, audience, instanceUrl, apiVersion, tls, ledger, retentionDays, apiBudget;
 * credentials clientId, clientSecret, username, password, privateKey, refreshToken, accessToken.
 */
export default function (RED: Red): void {
  useCatalogue(RED);
  registerConnectionAdmin(RED);

  function SfConnection(this: SfConnectionNode, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const settings = readConfig(RED, this, config, readConnection);
    const opened = settings.ok ? open(RED, this, settings.value) : settings.error;
    Object.defineProperty(this, 'connection', {
      get: () => {
        if (opened instanceof SalesforceConnection) return opened;
        throw opened;
      },
    });
    if (opened instanceof Error) this.error(opened.message);
    onClose(this, async () => {
      if (opened instanceof SalesforceConnection) await opened.close();
    });
  }

  RED.nodes.registerType('sf-connection', SfConnection as (this: Node, config: NodeConfig) => void, {
    credentials: {
      clientId: { type: 'text' },
      clientSecret: { type: 'password' },
      username: { type: 'text' },
      password: { type: 'password' },
      privateKey: { type: 'password' },
      refreshToken: { type: 'password' },
      accessToken: { type: 'password' },
    },
  });
}

function readConnection(properties: ConfigReader) {
  return {
    credentials: readCredentials(properties),
    apiVersion: properties.optionalText('apiVersion', '66.0'),
    tls: tlsOptions(properties),
    ledger: properties.optionalNode<SyncDatabaseNode>('ledger', 'sync-database'),
    retentionDays: properties.integer('retentionDays', { min: 1, max: 3650, default: 30 }),
    apiBudgetPercent: properties.number('apiBudget', { min: 1, max: 100, default: 90 }),
  };
}

const READ_CREDENTIALS: Record<AuthFlow, (properties: ConfigReader) => Credentials> = {
  'client-credentials': (properties) => ({
    flow: 'client-credentials',
    loginUrl: properties.text('loginUrl'),
    clientId: properties.secret('clientId'),
    clientSecret: properties.secret('clientSecret'),
  }),
  'jwt-bearer': (properties) => ({
    flow: 'jwt-bearer',
    loginUrl: properties.text('loginUrl'),
    audience: properties.optionalText('audience') || undefined,
    clientId: properties.secret('clientId'),
    username: properties.secret('username'),
    privateKey: properties.secret('privateKey'),
  }),
  'refresh-token': (properties) => ({
    flow: 'refresh-token',
    loginUrl: properties.text('loginUrl'),
    clientId: properties.secret('clientId'),
    clientSecret: properties.optionalSecret('clientSecret'),
    refreshToken: properties.secret('refreshToken'),
  }),
  password: (properties) => ({
    flow: 'password',
    loginUrl: properties.text('loginUrl'),
    clientId: properties.secret('clientId'),
    clientSecret: properties.secret('clientSecret'),
    username: properties.secret('username'),
    password: properties.secret('password'),
  }),
  'access-token': (properties) => ({
    flow: 'access-token',
    instanceUrl: properties.text('instanceUrl'),
    accessToken: properties.secret('accessToken'),
  }),
};

function readCredentials(properties: ConfigReader): Credentials {
  return READ_CREDENTIALS[properties.oneOf('authFlow', AUTH_FLOWS, 'client-credentials')](properties);
}

/**
 * Without a ledger in PostgreSQL the rules hold inside this process, for as long as it lives (design §7). What keeps it from
 * working, be it the ledger's database, is for those who use it to hear: were it thrown here, Node-RED would drop the node.
 */
function open(
  RED: Red,
  node: Node,
  settings: ReturnType<typeof readConnection>,
): SalesforceConnection | Error {
  const log = nodeLogger(node);
  try {
    const database = settings.ledger?.database;
    const session = new SalesforceSession({
      credentials: settings.credentials,
      apiVersion: settings.apiVersion,
      tls: settings.tls,
      apiBudgetPercent: settings.apiBudgetPercent,
      refreshTokens: refreshTokenStore(RED, settings.credentials, database, log),
      log,
    });
    return new SalesforceConnection({
      session,
      ledger: database ? new PostgresLedger(database, { log }) : memoryLedgerOf(node.id),
      clock: systemClock,
      log,
      retentionDays: settings.retentionDays,
    });
  } catch (error) {
    return reportable(error);
  }
}
