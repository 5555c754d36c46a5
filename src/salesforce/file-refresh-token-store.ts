import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LoadError, reasonOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { RefreshTokenStore } from './refresh-token-store.ts';

interface Sealed {
  version: 1;
  salt: string;
  iv: string;
  tag: string;
  data: string;
}

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
  readonly #secret: string | Buffer;
  readonly #log: Logger;

  /** `secret`: any text or bytes, for example Node-RED's credentialSecret; the key is derived from it. */
  constructor(options: { path: string; secret: string | Buffer; log: Logger }) {
    if (options.secret.length === 0)
      throw new LoadError('CONFIG_INVALID', 'no secret to keep refresh tokens with');
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
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      return this.#open(JSON.parse(text) as Sealed);
    } catch (error) {
      // Another credentialSecret, or a damaged file: the token that a person entered may still work, and is tried.
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
        await file.writeFile(JSON.stringify(this.#seal(token)));
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

  #seal(token: string): Sealed {
    const salt = randomBytes(16);
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key(salt), iv);
    const data = Buffer.concat([cipher.update(token, 'utf8'), cipher.final()]);
    return {
      version: 1,
      salt: salt.toString('base64'),
      iv: iv.toString('base64'),
      tag: cipher.getAuthTag().toString('base64'),
      data: data.toString('base64'),
    };
  }

  #open(sealed: Sealed): string {
    const [salt, iv, tag, data] = [sealed.salt, sealed.iv, sealed.tag, sealed.data].map((part) =>
      Buffer.from(part, 'base64'),
    ) as [Buffer, Buffer, Buffer, Buffer];
    const decipher = createDecipheriv('aes-256-gcm', this.#key(salt), iv, { authTagLength: 16 });
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(data), decipher.final()]).toString('utf8');
  }

  #key(salt: Buffer): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#secret, salt, 'salesforce refresh token', 32));
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
