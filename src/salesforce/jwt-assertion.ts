import { createPrivateKey, createSign, type KeyObject } from 'node:crypto';
import { LoadError } from '../errors.ts';
import { type JwtBearer, jwtAudience } from './credentials.ts';

/** Salesforce takes an `exp` at most three minutes ahead (reference bulk-api-2.md §5). */
const LIFE_SECONDS = 180;

/** The signed assertion (RS256) of the JWT bearer flow. `now` in milliseconds, by the org's clock where it is known. */
export function jwtAssertion(credentials: JwtBearer, now: number): string {
  const claims = {
    iss: credentials.clientId,
    sub: credentials.username,
    aud: credentials.audience || jwtAudience(credentials.loginUrl),
    exp: Math.floor(now / 1000) + LIFE_SECONDS,
  };
  const unsigned = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const signature = createSign('RSA-SHA256').update(unsigned).sign(privateKey(credentials.privateKey));
  return `${unsigned}.${signature.toString('base64url')}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function privateKey(text: string): KeyObject {
  try {
    const key = createPrivateKey(asPem(text));
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch (cause) {
    throw new LoadError('CONFIG_INVALID', 'privateKey is not a private key in PEM form', {
      // OpenSSL's text names the fault ("unsupported", "bad decrypt"), never the key.
      cause,
    });
  }
  throw new LoadError('CONFIG_INVALID', 'privateKey is not an RSA key, which the JWT bearer flow needs');
}

/** A single-line field or an environment variable turns the line breaks of a PEM into spaces or `\n`. */
function asPem(text: string): string {
  const match = /-----BEGIN ([A-Z ]+)-----([\s\S]*?)-----END \1-----/.exec(text.replaceAll('\\n', '\n'));
  if (match === null) return text;
  const [, label = '', body = ''] = match;
  const lines = body.replace(/\s+/g, '').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
