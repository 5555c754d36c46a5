import { createHash } from 'node:crypto';
import type { LoadError } from '../errors.ts';
import type { RefreshTokenFlow } from './credentials.ts';

/**
 * Where rotated refresh tokens outlive the process. With rotation on, Salesforce gives a new token with every refresh and
 * the old one dies, so that reading the newest, using it and storing its successor must be one step for everybody who
 * shares it.
 */
export interface RefreshTokenStore {
  /** The newest stored token; undefined before the first rotation. */
  load(): Promise<string | undefined>;
  /**
   * Under a lock over all who share the store: reads the newest stored token, has it used by `rotate`, and stores what
   * that returns before anybody else may read. When `rotate` rejects nothing changes.
   */
  update(
    rotate: (current: string | undefined) => Promise<string>,
    waiting?: StoreWaiting | undefined,
  ): Promise<void>;
}

/** For a store that may be away for a while. */
export interface StoreWaiting {
  /** Ends the waiting; what `rotate` returned is stored all the same. */
  signal?: AbortSignal | undefined;
  /** It is away, and that is why. */
  onWait?: ((reason: LoadError) => void) | undefined;
}

/**
 * Under which name a connection's rotated tokens are kept. It changes with the token that a person enters, so that a newly
 * entered one starts anew instead of meeting the successors of an older one.
 */
export function refreshTokenKey(credentials: RefreshTokenFlow): string {
  return createHash('sha256')
    .update(JSON.stringify([credentials.loginUrl, credentials.clientId, credentials.refreshToken]))
    .digest('hex');
}
