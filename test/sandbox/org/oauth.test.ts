import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { Client, orgFor, parsed } from './client.ts';

const JWT_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

function assertion(claims: Record<string, unknown>, privateKey: string, header = { alg: 'RS256' }): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const content = `${part(header)}.${part(claims)}`;
  return `${content}.${createSign('RSA-SHA256').update(content).sign(privateKey, 'base64url')}`;
}

const soon = (): number => Math.floor(Date.now() / 1000) + 120;

describe("the sandbox org's login", () => {
  const sandbox = orgFor();
  const claims = (): Record<string, unknown> => ({
    iss: sandbox.org.credentials.clientId,
    sub: sandbox.org.credentials.username,
    aud: 'https://login.salesforce.com',
    exp: soon(),
  });
  const jwt = (changes: Record<string, unknown> = {}, key = sandbox.org.credentials.privateKey) =>
    new Client(sandbox.org).login({
      grant_type: JWT_GRANT,
      assertion: assertion({ ...claims(), ...changes }, key),
    });

  it('client credentials: the keys of the answer in their order', async () => {
    const answer = await sandbox.client.login();
    assert.equal(answer.status, 200);
    const body = parsed(answer);
    assert.deepEqual(Object.keys(body), [
      'access_token',
      'signature',
      'scope',
      'instance_url',
      'id',
      'token_type',
      'issued_at',
    ]);
    assert.equal(body.instance_url, sandbox.org.url);
    assert.equal(body.token_type, 'Bearer');
  });

  it('takes client id and secret as Basic too', async () => {
    const { clientId, clientSecret } = sandbox.org.credentials;
    const response = await fetch(`${sandbox.org.url}/services/oauth2/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    assert.equal(response.status, 200);
  });

  it('names what is wrong with a client', async () => {
    const client = new Client(sandbox.org);
    const wrongId = await client.login({ client_id: 'other' });
    assert.equal(wrongId.status, 400);
    assert.equal(
      wrongId.text,
      '{"error":"invalid_client_id","error_description":"client identifier invalid"}',
    );
    const wrongSecret = await client.login({ client_secret: 'other' });
    assert.equal(wrongSecret.status, 400);
    assert.equal(parsed(wrongSecret).error, 'invalid_client');
    const wrongType = await client.login({ grant_type: 'magic' });
    assert.equal(parsed(wrongType).error, 'unsupported_grant_type');
  });

  it('JWT bearer: checks signature, audience, time, issuer and subject', async () => {
    const good = await jwt();
    assert.deepEqual(Object.keys(parsed(good)), [
      'access_token',
      'scope',
      'instance_url',
      'id',
      'token_type',
    ]);
    assert.equal((await jwt({ aud: sandbox.org.url })).status, 200);

    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const refusals: [Promise<{ text: string; status: number }>, string, string][] = [
      [jwt({}, privateKey), 'invalid_grant', 'invalid assertion'],
      [jwt({ aud: 'https://example.com' }), 'invalid_grant', 'audience is invalid'],
      [jwt({ exp: soon() - 300 }), 'invalid_grant', 'expired authorization code'],
      [jwt({ exp: soon() + 3600 }), 'invalid_grant', 'expired authorization code'],
      [jwt({ iss: 'other' }), 'invalid_client_id', 'client identifier invalid'],
      [jwt({ sub: 'nobody@example.com' }), 'invalid_grant', "user hasn't approved this consumer"],
    ];
    for (const [answer, error, error_description] of refusals) {
      const { status, text } = await answer;
      assert.equal(status, 400);
      assert.deepEqual(JSON.parse(text), { error, error_description });
    }
  });

  it('refuses an assertion without a signature', async () => {
    const bare = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims())).toString('base64url')}.`;
    const answer = await sandbox.client.login({ grant_type: JWT_GRANT, assertion: bare });
    assert.equal(parsed(answer).error_description, 'invalid assertion');
  });

  it('password, with and without the security token', async () => {
    const { username, password, securityToken } = sandbox.org.credentials;
    const login = (secret: string) =>
      sandbox.client.login({ grant_type: 'password', username, password: secret });
    assert.equal((await login(password)).status, 200);
    assert.equal((await login(password + securityToken)).status, 200);
    const wrong = await login('guess');
    assert.equal(wrong.text, '{"error":"invalid_grant","error_description":"authentication failure"}');
  });

  it('refresh token, without rotation', async () => {
    const refresh = (token: string) =>
      sandbox.client.login({ grant_type: 'refresh_token', refresh_token: token });
    const first = parsed(await refresh(sandbox.org.credentials.refreshToken));
    assert.equal(first.refresh_token, undefined);
    assert.equal((await refresh(sandbox.org.credentials.refreshToken)).status, 200);
    assert.equal(parsed(await refresh('other')).error_description, 'expired access/refresh token');
  });

  it('answers userinfo and the identity URL', async () => {
    await sandbox.client.login();
    const headers = { authorization: `Bearer ${sandbox.client.token}` };
    const info = await (await fetch(`${sandbox.org.url}/services/oauth2/userinfo`, { headers })).json();
    const identity = await (await fetch((info as { id: string }).id, { headers })).json();
    assert.deepEqual(identity, info);
    assert.equal(
      (info as { preferred_username: string }).preferred_username,
      sandbox.org.credentials.username,
    );
  });
});

describe("the sandbox org's sessions", () => {
  const sandbox = orgFor({ requestsPerToken: 3, rotateRefreshTokens: true, apiBudget: 12 });

  it('refuse a request without a token', async () => {
    const answer = await new Client(sandbox.org).call('GET', '/limits');
    assert.equal(answer.status, 401);
    assert.equal(answer.text, '[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]');
    assert.equal(answer.headers.get('sforce-limit-info'), null);
  });

  it('live for the number of requests that was asked for', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) {
      statuses.push((await sandbox.client.call('GET', '/limits')).status);
    }
    assert.deepEqual(statuses, [200, 200, 200, 401]);
  });

  it('end when told to', async () => {
    await sandbox.client.login();
    assert.equal((await sandbox.client.call('GET', '/limits')).status, 200);
    sandbox.org.expireTokens();
    assert.equal((await sandbox.client.call('GET', '/limits')).status, 401);
  });

  it('rotate refresh tokens: the old one dies', async () => {
    const refresh = (token: string) =>
      sandbox.client.login({ grant_type: 'refresh_token', refresh_token: token });
    const first = parsed(await refresh(sandbox.org.credentials.refreshToken));
    assert.ok(first.refresh_token !== undefined);
    assert.equal(first.refresh_token, sandbox.org.refreshToken());
    assert.equal((await refresh(sandbox.org.credentials.refreshToken)).status, 400);
    assert.equal((await refresh(first.refresh_token)).status, 200);
  });

  it('count calls, name them in a header, and refuse those beyond the budget', async () => {
    sandbox.org.audit.resetApiCalls();
    let last = '';
    for (let i = 0; i < 13; i++) {
      if (i % 3 === 0) {
        await sandbox.client.login();
      }
      const answer = await sandbox.client.call('GET', '/limits');
      last = answer.headers.get('sforce-limit-info') ?? '';
      assert.equal(answer.status, i < 12 ? 200 : 403, `call ${i}`);
      if (i === 12) {
        assert.equal(
          answer.text,
          '[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]',
        );
      }
    }
    assert.equal(last, 'api-usage=12/12');
  });
});

describe("the sandbox org's refused logins", () => {
  const texts = {
    'not-approved': { error: 'invalid_grant', error_description: "user hasn't approved this consumer" },
    'not-admin-approved': {
      error: 'invalid_app_access',
      error_description: 'user is not admin approved to access this app',
    },
    'no-client-credentials-user': {
      error: 'invalid_grant',
      error_description: 'no client credentials user enabled',
    },
    'authentication-failure': { error: 'invalid_grant', error_description: 'authentication failure' },
  } as const;
  for (const refuseLogin of Object.keys(texts) as (keyof typeof texts)[]) {
    describe(refuseLogin, () => {
      const sandbox = orgFor({ refuseLogin });
      it('is named as real orgs name it', async () => {
        const answer = await sandbox.client.login();
        assert.equal(answer.status, 400);
        assert.deepEqual(parsed(answer), texts[refuseLogin]);
      });
    });
  }
});
