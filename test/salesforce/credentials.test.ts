import assert from 'node:assert/strict';
import { createPublicKey, createVerify, generateKeyPairSync } from 'node:crypto';
import { isLoadError } from '../../src/errors.ts';
import { type Credentials, checkCredentials, jwtAudience } from '../../src/salesforce/credentials.ts';
import { jwtAssertion } from '../../src/salesforce/jwt-assertion.ts';
import { loginAdvice, loginRefusalPasses } from '../../src/salesforce/login-refusals.ts';

const LOGIN = 'https://acme.my.salesforce.com';

describe('credentials', () => {
  const missing: [Credentials, string][] = [
    [
      { flow: 'client-credentials', loginUrl: LOGIN, clientId: 'a', clientSecret: '' },
      'clientSecret is missing',
    ],
    [{ flow: 'client-credentials', loginUrl: ' ', clientId: 'a', clientSecret: 'b' }, 'loginUrl is missing'],
    [
      { flow: 'jwt-bearer', loginUrl: LOGIN, clientId: 'a', username: 'u', privateKey: '' },
      'privateKey is missing',
    ],
    [{ flow: 'refresh-token', loginUrl: LOGIN, clientId: 'a', refreshToken: '' }, 'refreshToken is missing'],
    [
      { flow: 'password', loginUrl: LOGIN, clientId: 'a', clientSecret: 'b', username: '', password: 'p' },
      'username is missing',
    ],
    [{ flow: 'access-token', instanceUrl: '', accessToken: 'x' }, 'instanceUrl is missing'],
    [
      { flow: 'client-credentials', loginUrl: 'acme', clientId: 'a', clientSecret: 'b' },
      'loginUrl is not a web address: acme',
    ],
    [
      { flow: 'access-token', instanceUrl: 'https://acme.lightning.force.com', accessToken: 'x' },
      'ends with .my.salesforce.com',
    ],
  ];
  for (const [credentials, text] of missing) {
    it(`${credentials.flow}: ${text}`, () => {
      assert.throws(
        () => checkCredentials(credentials),
        (error) => isLoadError(error, 'CONFIG_INVALID') && error.message.includes(text),
      );
    });
  }

  it('never name a secret', () => {
    const secret = 'S3cr3t!';
    assert.throws(
      () => checkCredentials({ flow: 'access-token', instanceUrl: 'nowhere', accessToken: secret }),
      (error) => error instanceof Error && !error.message.includes(secret),
    );
  });

  it('know the audience of a login host', () => {
    assert.equal(jwtAudience('https://login.salesforce.com'), 'https://login.salesforce.com');
    assert.equal(jwtAudience('https://acme.my.salesforce.com'), 'https://login.salesforce.com');
    assert.equal(jwtAudience('https://test.salesforce.com/'), 'https://test.salesforce.com');
    assert.equal(jwtAudience('https://acme--uat.sandbox.my.salesforce.com'), 'https://test.salesforce.com');
    assert.equal(jwtAudience('https://acme.my.site.com/partners/'), 'https://acme.my.site.com/partners');
  });
});

describe('the JWT assertion', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const credentials = {
    flow: 'jwt-bearer' as const,
    loginUrl: LOGIN,
    clientId: 'client',
    username: 'load@example.com',
    privateKey,
  };
  const now = Date.parse('2026-01-01T00:00:00Z');

  const spellings: [string, string][] = [
    ['as it is', privateKey],
    ['with \\n written out', privateKey.replaceAll('\n', '\\n')],
    ['with spaces for line breaks', privateKey.replaceAll('\n', ' ')],
    ['with CRLF', privateKey.replaceAll('\n', '\r\n')],
  ];
  for (const [name, key] of spellings) {
    it(`is signed with a key ${name}`, () => {
      const assertion = jwtAssertion({ ...credentials, privateKey: key }, now);
      const [head = '', claims = '', signature = ''] = assertion.split('.');
      const verifier = createVerify('RSA-SHA256').update(`${head}.${claims}`);
      assert.ok(verifier.verify(createPublicKey(publicKey), Buffer.from(signature, 'base64url')));
      assert.deepEqual(JSON.parse(Buffer.from(claims, 'base64url').toString()), {
        iss: 'client',
        sub: 'load@example.com',
        aud: 'https://login.salesforce.com',
        exp: now / 1000 + 180,
      });
    });
  }

  const notKeys: [string, string][] = [
    ['text', 'hello'],
    ['a public key', publicKey],
    [
      'an elliptic key',
      generateKeyPairSync('ec', {
        namedCurve: 'P-256',
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
        publicKeyEncoding: { type: 'spki', format: 'pem' },
      }).privateKey,
    ],
  ];
  for (const [name, key] of notKeys) {
    it(`refuses ${name} and does not show it`, () => {
      assert.throws(
        () => jwtAssertion({ ...credentials, privateKey: key }, now),
        (error) =>
          isLoadError(error, 'CONFIG_INVALID') &&
          error.message.startsWith('privateKey') &&
          !error.message.includes(key.slice(0, 20)),
      );
    });
  }
});

describe('refused logins', () => {
  const advice: [string, string, RegExp][] = [
    ['invalid_grant', "user hasn't approved this consumer", /Pre-authorise/],
    ['invalid_app_access', 'user is not admin approved to access this app', /permission set/],
    ['invalid_grant', 'no client credentials user enabled', /Run As/],
    ['invalid_grant', 'authentication failure', /security token/],
    ['invalid_client_id', 'client identifier invalid', /consumer key/],
    ['invalid_client', 'invalid client credentials', /client secret/],
    ['invalid_grant', 'expired access/refresh token', /authorise again/],
    ['invalid_grant', 'audience is invalid', /audience/],
    ['invalid_grant', 'request not supported on this domain', /My Domain/],
    ['unsupported_grant_type', 'grant type not supported', /Allow this OAuth flow/],
    ['something_new', 'nobody knows', /Check the credentials/],
  ];
  for (const [error, description, expected] of advice) {
    it(`${error} "${description}" has its advice`, () => {
      assert.match(loginAdvice(error, description), expected);
      assert.equal(loginRefusalPasses(error, description), false);
    });
  }

  it('of the passing kind are tried again', () => {
    assert.ok(loginRefusalPasses('unknown_error', 'retry your request'));
    assert.ok(loginRefusalPasses('invalid_grant', 'login rate exceeded'));
    assert.ok(loginRefusalPasses('server_error', ''));
  });
});
