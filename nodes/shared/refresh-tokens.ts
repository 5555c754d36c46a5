import { join } from 'node:path';
import { PostgresRefreshTokenStore } from '../../src/database/ledger/refresh-tokens.ts';
import type { Database } from '../../src/database/pool.ts';
import type { Logger } from '../../src/log.ts';
import type { Credentials } from '../../src/salesforce/credentials.ts';
import { FileRefreshTokenStore } from '../../src/salesforce/file-refresh-token-store.ts';
import { type RefreshTokenStore, refreshTokenKey } from '../../src/salesforce/refresh-token-store.ts';
import type { Red } from './red.ts';

/**
 * Where rotated refresh tokens are kept: in the ledger, for all processes, else in the user directory. Node-RED saves
 * changed credentials only with the next deploy, so its own serve as the first token and as the secret that seals the rest.
 */
export function refreshTokenStore(
  RED: Red,
  credentials: Credentials,
  ledger: Database | undefined,
  log: Logger,
): RefreshTokenStore | undefined {
  if (credentials.flow !== 'refresh-token') return undefined;
  const key = refreshTokenKey(credentials);
  const secret = credentials.refreshToken + (credentials.clientSecret ?? '');
  if (ledger) return new PostgresRefreshTokenStore(ledger, { key, secret, log });
  const path = join(RED.settings.userDir ?? '.', `salesforce-refresh-token-${key.slice(0, 16)}.sealed`);
  return new FileRefreshTokenStore({ path, secret, log });
}
