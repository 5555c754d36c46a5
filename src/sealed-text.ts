import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/**
 * How refresh tokens are kept: AES-256-GCM, with a key that comes from the secret and a salt of its own by HKDF. Salt, nonce
 * and tag stand before the text.
 */
const CIPHER = 'aes-256-gcm';
const PURPOSE = 'sf_sync_token';
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** `name` is sealed along: the bytes open only under the name that they were sealed for. */
export function seal(text: string, name: string, secret: string): Buffer {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyFrom(secret, salt), nonce).setAAD(Buffer.from(name));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([salt, nonce, cipher.getAuthTag(), body]);
}

/** Throws when the secret or the name is another one, or the bytes were changed. */
export function unseal(sealed: Buffer, name: string, secret: string): string {
  const nonceAt = SALT_BYTES;
  const tagAt = nonceAt + NONCE_BYTES;
  const bodyAt = tagAt + TAG_BYTES;
  const key = keyFrom(secret, sealed.subarray(0, nonceAt));
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(nonceAt, tagAt), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(name)).setAuthTag(sealed.subarray(tagAt, bodyAt));
  return Buffer.concat([decipher.update(sealed.subarray(bodyAt)), decipher.final()]).toString('utf8');
}

function keyFrom(secret: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, PURPOSE, 32));
}
