import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { LoadError, reasonOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { seal, unseal } from '../sealed-text.ts';
import type { RefreshTokenStore } from './refresh-token-store.ts';

/** All users of one file in this process stand in one line. */
const lines = new Map<string, Promise<unknown>>();

/**
 * The newest refresh token of one connection in a file that only its owner may read (0600), encrypted with AES-256-GCM.
 *
 * For one process: without a ledger there is no lock that several could share, and a user directory belongs to one
 * Node-RED. The file is replaced as a whole, so that a crash leaves the old token or the new one.
 */
export class FileRefreshTokenStore implements RefreshTokenStore {
  readonly #path: string;
  readonly #secret: string;
  readonly #log: Logger;

  /** `secret` seals the token; the name of the file, which tells the connection, is sealed along. */
  constructor(options: { path: string; secret: string; log: Logger }) {
    if (options.secret === '') throw new LoadError('CONFIG_INVALID', 'no secret to keep refresh tokens with');
    this.#path = options.path;
    this.#secret = options.secret;
    this.#log = options.log;
  }

  load(): Promise<string | undefined> {
    return this.#inLine(() => this.#read());
  }

  update(rotate: (current: string | undefined) => Promise<string>): Promise<void> {
    return this.#inLine(async () => {
      const current = await this.#read();
      const next = await rotate(current);
      if (next !== current) await this.#write(next);
    });
  }

  #inLine<T>(work: () => Promise<T>): Promise<T> {
    const before = lines.get(this.#path) ?? Promise.resolve();
    const mine = before.then(work);
    const settled = mine.catch(() => {});
    lines.set(this.#path, settled);
    return mine;
  }

  async #read(): Promise<string | undefined> {
    let sealed: Buffer;
    try {
      sealed = await readFile(this.#path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      return unseal(sealed, basename(this.#path), this.#secret);
    } catch (error) {
      // Sealed with another secret, or damaged: the token that a person entered may still work, and is tried.
      this.#log.warn(
        `the stored refresh token cannot be read (${reasonOf(error)}); the one of the credentials is used`,
      );
      return undefined;
    }
  }

  async #write(token: string): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const fresh = `${this.#path}.${randomBytes(6).toString('hex')}`;
    try {
      const file = await open(fresh, 'wx', 0o600);
      try {
        await file.writeFile(seal(token, basename(this.#path), this.#secret));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, this.#path);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
