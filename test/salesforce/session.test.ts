import assert from 'node:assert/strict';
import { type Org, type OrgOptions, startOrg } from '../../sandbox/org/org.ts';
import { type ErrorCode, isLoadError, LoadError } from '../../src/errors.ts';
import type { ApiRequest } from '../../src/salesforce/call.ts';
import type { Credentials } from '../../src/salesforce/credentials.ts';
import { isDoubtful, isRefusal } from '../../src/salesforce/outcome.ts';
import type { RefreshTokenStore } from '../../src/salesforce/refresh-token-store.ts';
import { SalesforceSession, type SessionOptions } from '../../src/salesforce/session.ts';
import { certificates } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { until } from '../support/until.ts';
import { type Answer, EXPIRED, gate, type Handle, TestServer, tokenAnswers } from './test-server.ts';

const LIMITS: ApiRequest = { what: 'Limits', method: 'GET', path: '/limits', kind: 'safe' };
const INSERT: ApiRequest = {
  what: 'Insert of a Contact',
  method: 'POST',
  path: '/sobjects/Contact',
  kind: 'doubtful',
  json: { LastName: 'Secretname' },
};

describe('the session', () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  function session(credentials: Credentials, more: Partial<SessionOptions> = {}): SalesforceSession {
    const made = new SalesforceSession({ credentials, apiVersion: '66.0', random: () => 0.5, ...more });
    closing.push(() => made.close());
    return made;
  }

  async function org(options: OrgOptions = {}): Promise<Org> {
    const made = await startOrg(options);
    closing.push(() => made.close());
    return made;
  }

  /** A server whose token endpoint gives token-1, token-2, …; `api` answers the rest. */
  async function server(api: Handle, token?: Handle): Promise<TestServer> {
    const made = new TestServer(() => undefined);
    const tokens = tokenAnswers(() => made.url);
    made.handle = (seen, response) => {
      if (!seen.path.includes('/oauth2/token')) return api(seen, response);
      return token ? token(seen, response) : tokens();
    };
    await made.start();
    closing.push(() => made.stop());
    return made;
  }

  function clientOf(made: { url: string }): Credentials {
    return { flow: 'client-credentials', loginUrl: made.url, clientId: 'client', clientSecret: 'S3cr3t' };
  }

  async function fails(promise: Promise<unknown>, code: ErrorCode): Promise<Error> {
    const error = await promise.then(
      () => new Error('nothing was thrown'),
      (thrown: unknown) => thrown as Error,
    );
    assert.ok(isLoadError(error, code), `${code} expected: ${error}`);
    return error;
  }

  describe('logs in', () => {
    let shared: Org;
    before(async () => {
      shared = await startOrg();
    });
    after(() => shared.close());

    const flows: [string, () => Credentials][] = [
      ['client-credentials', () => ({ flow: 'client-credentials', loginUrl: shared.url, ...idAndSecret() })],
      [
        'jwt-bearer',
        () => {
          const { clientId, username, privateKey } = shared.credentials;
          return {
            flow: 'jwt-bearer',
            loginUrl: shared.url,
            audience: 'https://login.salesforce.com',
            clientId,
            username,
            privateKey,
          };
        },
      ],
      [
        'refresh-token',
        () => ({
          flow: 'refresh-token',
          loginUrl: `${shared.url}/`,
          ...idAndSecret(),
          refreshToken: shared.credentials.refreshToken,
        }),
      ],
      [
        'password',
        () => {
          const { username, password, securityToken } = shared.credentials;
          return {
            flow: 'password',
            loginUrl: shared.url,
            ...idAndSecret(),
            username,
            password: password + securityToken,
          };
        },
      ],
    ];
    function idAndSecret() {
      const { clientId, clientSecret } = shared.credentials;
      return { clientId, clientSecret };
    }

    for (const [flow, credentials] of flows) {
      it(`by ${flow}, and again when the session has ended`, async () => {
        const made = session(credentials());
        await made.call(LIMITS);
        shared.expireTokens();
        const { status, body } = await made.call(LIMITS);
        assert.equal(status, 200);
        assert.ok(typeof body === 'object' && body !== null && 'DailyApiRequests' in body);
        assert.equal(made.logins, 2);
      });
    }

    it('with a given access token, until it ends', async () => {
      const response = await fetch(`${shared.url}/services/oauth2/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: idAndSecret().clientId,
          client_secret: idAndSecret().clientSecret,
        }),
      });
      const { access_token } = (await response.json()) as { access_token: string };
      const made = session({ flow: 'access-token', instanceUrl: shared.url, accessToken: access_token });
      await made.call(LIMITS);
      const { username, orgId } = await made.identity();
      assert.equal(username, shared.credentials.username);
      assert.match(orgId, /^00D/);
      shared.expireTokens();
      for (const _again of [1, 2]) {
        const error = await fails(made.call(LIMITS), 'SF_AUTH_FAILED');
        assert.match(error.message, /cannot gain a new one/);
        assert.doesNotMatch(error.message, new RegExp(access_token.slice(0, 12).replace('!', '\\!')));
      }
    });

    it('and knows who it is', async () => {
      const made = session(flows[0]?.[1]() as Credentials);
      const identity = await made.identity();
      assert.match(identity.orgId, /^00D\w{15}$/);
      assert.match(identity.userId, /^005\w{15}$/);
      assert.equal(identity.instanceUrl, shared.url);
      assert.equal(identity.username, shared.credentials.username);
      assert.equal(await made.identity(), identity);
    });
  });

  it('asks once who it is, for all who want to know and though the first of them leaves', async () => {
    const { opened, open } = gate();
    const made = await server(async () => {
      await opened;
      return { body: { records: [{ Username: 'load@example.com' }], done: true } };
    });
    const shared = session(clientOf(made));
    const stop = new AbortController();
    const meter = { calls: 0 };
    const leaving = shared.identity({ signal: stop.signal, meter });
    const staying = shared.identity({ signal: new AbortController().signal });
    await until(() => made.count(/query/) > 0, 'the question is under way');
    stop.abort(new Error('the first node was stopped'));
    await assert.rejects(leaving, /first node was stopped/);
    open();
    assert.equal((await staying).username, 'load@example.com');
    assert.deepEqual([made.count(/query/), meter.calls], [1, 1]);
  });

  it('speaks TLS with an authority of its own to login and API alike', async () => {
    const secure = await org({ tls: certificates.server });
    const { clientId, clientSecret } = secure.credentials;
    const credentials: Credentials = {
      flow: 'client-credentials',
      loginUrl: secure.url,
      clientId,
      clientSecret,
    };
    await session(credentials, { tls: { ca: certificates.authority } }).call(LIMITS);
    const clock = new FakeClock();
    const error = await fails(session(credentials, { clock }).call(LIMITS), 'SF_REQUEST_FAILED');
    assert.match(String(error.cause), /certificate/);
    assert.deepEqual(clock.slept, []);
  });

  describe('when a login is refused', () => {
    const refusals: [NonNullable<OrgOptions['refuseLogin']>, RegExp][] = [
      ['not-approved', /invalid_grant: user hasn't approved this consumer\. Pre-authorise/],
      ['not-admin-approved', /invalid_app_access: user is not admin approved/],
      ['no-client-credentials-user', /no client credentials user enabled\. Set a Run As user/],
      ['authentication-failure', /authentication failure\. Check user name and password/],
    ];
    for (const [refuseLogin, text] of refusals) {
      it(`says why: ${refuseLogin}`, async () => {
        const made = await org({ refuseLogin });
        const error = await fails(session(clientOf(made)).call(LIMITS), 'SF_AUTH_FAILED');
        assert.match(error.message, text);
        assert.doesNotMatch(error.message, /S3cr3t/);
        assert.equal(made.audit.requests(/token/).length, 1);
      });
    }

    it('does not knock again at once, which would lock the user out', async () => {
      const made = await org({ refuseLogin: 'authentication-failure' });
      const clock = new FakeClock();
      const refused = session(clientOf(made), { clock });
      for (const _call of [1, 2, 3]) await fails(refused.call(LIMITS), 'SF_AUTH_FAILED');
      assert.equal(made.audit.requests(/token/).length, 1);
      await clock.advance(31_000);
      await fails(refused.call(LIMITS), 'SF_AUTH_FAILED');
      assert.equal(made.audit.requests(/token/).length, 2);
    });
  });

  it('waits for a token endpoint that is away for a while', async () => {
    const clock = new FakeClock();
    const answers: Answer[] = [
      { status: 503, body: 'busy' },
      { drop: true },
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Maintenance</html>' },
      { status: 429, headers: { 'retry-after': '90' }, body: '' },
      { status: 400, body: { error: 'unknown_error', error_description: 'retry your request' } },
      { status: 200, body: {} },
    ];
    let tokens: (extra?: Record<string, unknown>) => Answer = () => ({});
    const made = await server(
      () => ({ body: {} }),
      () => answers.shift() ?? tokens(),
    );
    tokens = tokenAnswers(() => made.url);
    const patient = session(clientOf(made), { clock });
    await clock.runUntil(Promise.all([patient.call(LIMITS), patient.call(LIMITS)]));
    assert.equal(made.count(/token/), 7);
    assert.ok(clock.slept.includes(90_000), 'Retry-After was not heeded');
    assert.equal(clock.slept.length, 6);
  });

  it('says that it cannot log in when the token endpoint stays away', async () => {
    const clock = new FakeClock();
    const made = await server(
      () => ({ body: {} }),
      () => ({ status: 503, body: '' }),
    );
    const start = clock.now();
    const error = await fails(
      clock.runUntil(session(clientOf(made), { clock }).call(LIMITS)),
      'SF_REQUEST_FAILED',
    );
    assert.match(error.message, /no login to Salesforce: the token endpoint of .* answered HTTP 503/);
    assert.equal(clock.now() - start, 600_000);
  });

  it('tells a caller of little patience why there is no login, and the others wait on', async () => {
    const clock = new FakeClock();
    let isAway = true;
    let tokens: () => Answer = () => ({});
    const made = await server(
      () => ({ body: {} }),
      () => (isAway ? { status: 503, body: '' } : tokens()),
    );
    tokens = tokenAnswers(() => made.url);
    const shared = session(clientOf(made), { clock });
    const patient = shared.call(LIMITS);
    const start = clock.now();
    const error = await fails(clock.runUntil(shared.call(LIMITS, { outageMs: 2_000 })), 'SF_REQUEST_FAILED');
    assert.match(error.message, /no login to Salesforce: .* answered HTTP 503/);
    assert.equal(clock.now() - start, 2_000);
    isAway = false;
    assert.equal((await clock.runUntil(patient)).status, 200);
  });

  it('seeks no token on for nobody', async () => {
    const clock = new FakeClock();
    const made = await server(
      () => ({ body: {} }),
      () => ({ status: 503, body: '' }),
    );
    const shared = session(clientOf(made), { clock });
    await fails(clock.runUntil(shared.call(LIMITS, { outageMs: 2_000 })), 'SF_REQUEST_FAILED');
    const asked = made.count(/token/);
    await clock.advance(600_000);
    assert.equal(made.count(/token/), asked);
    assert.equal(clock.sleeping, 0);
  });

  it('renews one token once, however many requests meet the 401', async () => {
    const made = await server((seen) =>
      seen.headers.authorization === 'Bearer token-1' ? EXPIRED : { body: {} },
    );
    const shared = session(clientOf(made));
    const answers = await Promise.all(Array.from({ length: 50 }, () => shared.call(LIMITS)));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(made.count(/token/), 2);
    assert.equal(shared.logins, 2);
    assert.equal(made.count(/limits/), shared.calls);
  });

  it('bears a token that ends every 20 requests, with 50 at a time', async () => {
    const made = await org({ requestsPerToken: 20 });
    const { clientId, clientSecret } = made.credentials;
    const shared = session({ flow: 'client-credentials', loginUrl: made.url, clientId, clientSecret });
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => shared.call(LIMITS)));
      assert.ok(answers.every(({ status }) => status === 200));
    }
    assert.ok(shared.logins >= 10 && shared.logins <= 40, `${shared.logins} logins for 200 calls`);
  });

  it('does not go round when two fresh tokens are refused as well', async () => {
    const made = await server(() => EXPIRED);
    const error = await fails(session(clientOf(made)).call(LIMITS), 'SF_AUTH_FAILED');
    assert.match(error.message, /INVALID_SESSION_ID: Session expired or invalid\. .* refused as well/);
    assert.equal(made.count(/token/), 3);
    assert.equal(made.count(/limits/), 3);
  });

  it('bears with a session that ended together with the one before', async () => {
    const made = await server(() => (made.count(/limits/) <= 2 ? EXPIRED : { body: {} }));
    await session(clientOf(made)).call(LIMITS);
    assert.equal(made.count(/token/), 3);
  });

  it('ends also where one call alone is refused every token that others may use', async () => {
    const made: TestServer = await server(async ({ path, headers }) => {
      if (!path.endsWith('/limits')) return { body: {} };
      const used = () =>
        made.seen.filter(
          (seen) => /sobjects/.test(seen.path) && seen.headers.authorization === headers.authorization,
        );
      // The second one shows that the answer to the first has arrived.
      await until(() => used().length >= 2, 'another call has used the token');
      return EXPIRED;
    });
    const shared = session(clientOf(made));
    let over = false;
    const others = (async () => {
      while (!over) await shared.call({ ...LIMITS, path: '/sobjects' });
    })();
    await fails(shared.call(LIMITS), 'SF_AUTH_FAILED');
    over = true;
    await others;
    assert.equal(made.count(/token/), 6);
  });

  for (const text of [
    'Connected app is not attached to Agent',
    'This session is not valid for use with the REST API',
  ]) {
    it(`asks for no new token where it would not help: ${text}`, async () => {
      const made = await server(() => ({
        status: 401,
        body: [{ message: text, errorCode: 'INVALID_SESSION_ID' }],
      }));
      const error = await fails(session(clientOf(made)).call(LIMITS), 'SF_AUTH_FAILED');
      assert.ok(error.message.includes(text));
      assert.equal(made.count(/token/), 1);
      assert.equal(made.count(/limits/), 1);
    });
  }

  it('lets one call give up waiting for a token without taking it from the others', async () => {
    const { opened, open } = gate();
    let tokens: () => Answer = () => ({});
    const made = await server(
      () => ({ body: {} }),
      async () => {
        await opened;
        return tokens();
      },
    );
    tokens = tokenAnswers(() => made.url);
    const shared = session(clientOf(made));
    const stop = new AbortController();
    const impatient = shared.call(LIMITS, { signal: stop.signal });
    const patient = shared.call(LIMITS);
    await until(() => made.seen.length > 0, 'the login is under way');
    stop.abort(new Error('enough'));
    await assert.rejects(impatient, /enough/);
    open();
    assert.equal((await patient).status, 200);
    assert.equal(made.count(/token/), 1);
  });

  describe('with rotated refresh tokens', () => {
    class MemoryStore implements RefreshTokenStore {
      token: string | undefined;
      async load() {
        return this.token;
      }
      async update(rotate: (current: string | undefined) => Promise<string>) {
        this.token = await rotate(this.token);
      }
    }

    it('uses the newest and stores its successor', async () => {
      const made = await org({ rotateRefreshTokens: true });
      const { clientId, clientSecret, refreshToken } = made.credentials;
      const credentials: Credentials = {
        flow: 'refresh-token',
        loginUrl: made.url,
        clientId,
        clientSecret,
        refreshToken,
      };
      const refreshTokens = new MemoryStore();
      const first = session(credentials, { refreshTokens });
      await first.call(LIMITS);
      made.expireTokens();
      await first.call(LIMITS);
      assert.equal(refreshTokens.token, made.refreshToken());
      assert.notEqual(refreshTokens.token, refreshToken);
      await session(credentials, { refreshTokens }).call(LIMITS);
      assert.equal(refreshTokens.token, made.refreshToken());
    });

    it('says what to do when the token is used up', async () => {
      const made = await org({ rotateRefreshTokens: true });
      const { clientId, clientSecret, refreshToken } = made.credentials;
      const credentials: Credentials = {
        flow: 'refresh-token',
        loginUrl: made.url,
        clientId,
        clientSecret,
        refreshToken,
      };
      await session(credentials, { refreshTokens: new MemoryStore() }).call(LIMITS);
      const error = await fails(session(credentials).call(LIMITS), 'SF_AUTH_FAILED');
      assert.match(error.message, /authorise again/);
      assert.ok(!error.message.includes(refreshToken));
    });

    it('tells a caller of little patience that the store is away, and the others wait on', async () => {
      const clock = new FakeClock();
      const { opened, open } = gate();
      const store = new MemoryStore();
      const closed: boolean[] = [];
      const refreshTokens: RefreshTokenStore = {
        load: () => store.load(),
        update: async (rotate, { signal, onWait } = {}) => {
          onWait?.(new LoadError('DB_UNAVAILABLE', 'the ledger is away'));
          await opened;
          closed.push(signal?.aborted === true);
          await store.update(rotate);
        },
      };
      const made = await server(() => ({ body: {} }));
      const shared = session(
        { flow: 'refresh-token', loginUrl: made.url, clientId: 'a', refreshToken: 'seed' },
        { clock, refreshTokens },
      );
      const patient = shared.call(LIMITS);
      const start = clock.now();
      await fails(clock.runUntil(shared.call(LIMITS, { outageMs: 2_000 })), 'DB_UNAVAILABLE');
      assert.equal(clock.now() - start, 2_000);
      open();
      assert.equal((await clock.runUntil(patient)).status, 200);
      assert.deepEqual(closed, [false]);
    });

    it('keeps the old one, and no lock, while the token endpoint is away', async () => {
      const clock = new FakeClock();
      let locked = 0;
      const store = new MemoryStore();
      const refreshTokens: RefreshTokenStore = {
        load: () => store.load(),
        update: async (rotate) => {
          locked += 1;
          try {
            await store.update(rotate);
          } finally {
            locked -= 1;
          }
        },
      };
      const lockedWhileAsleep: number[] = [];
      const made = await server(
        () => ({ body: {} }),
        () => ({ status: 503, body: '' }),
      );
      const credentials: Credentials = {
        flow: 'refresh-token',
        loginUrl: made.url,
        clientId: 'a',
        refreshToken: 'seed',
      };
      const sleep = clock.sleep.bind(clock);
      clock.sleep = (ms, signal) => {
        lockedWhileAsleep.push(locked);
        return sleep(ms, signal);
      };
      await fails(
        clock.runUntil(session(credentials, { clock, refreshTokens }).call(LIMITS), 2),
        'SF_REQUEST_FAILED',
      );
      assert.equal(store.token, undefined);
      assert.ok(lockedWhileAsleep.length > 5);
      assert.ok(lockedWhileAsleep.every((count) => count === 0));
    });
  });

  describe('through an outage', () => {
    it('repeats what is safe until its time is over', async () => {
      const clock = new FakeClock();
      const made = await server(() => ({
        status: 503,
        body: [{ errorCode: 'SERVER_UNAVAILABLE', message: 'later' }],
      }));
      const meter = { calls: 0 };
      const error = await fails(
        clock.runUntil(session(clientOf(made), { clock }).call(LIMITS, { meter })),
        'SF_REQUEST_FAILED',
      );
      assert.match(error.message, /^Limits: .*HTTP 503, SERVER_UNAVAILABLE: later/);
      assert.equal(made.count(/limits/), meter.calls);
      assert.ok(meter.calls > 10 && meter.calls < 60, `${meter.calls} calls`);
    });

    const passing: [string, Answer][] = [
      ['408', { status: 408 }],
      ['420', { status: 420 }],
      ['429', { status: 429 }],
      ['500 as a page', { status: 500, headers: { 'content-type': 'text/html' }, body: '<html>x' }],
      ['502', { status: 502 }],
      ['503', { status: 503 }],
      ['504', { status: 504 }],
      ['200 with a page', { headers: { 'content-type': 'text/html' }, body: '<html>Login</html>' }],
      ['200 with a page and no type', { headers: { 'content-type': '' }, body: '<!DOCTYPE html>' }],
      ['404 with a page', { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>' }],
      ['200 with half of its JSON', { body: '{"records": [' }],
      ['a reset', { drop: true }],
    ];
    for (const [name, answer] of passing) {
      it(`repeats a safe call after ${name}`, async () => {
        const clock = new FakeClock();
        const answers = [answer, answer];
        const made = await server(() => answers.shift() ?? { body: { fine: true } });
        const { body } = await clock.runUntil(session(clientOf(made), { clock }).call(LIMITS));
        assert.deepEqual(body, { fine: true });
        assert.equal(made.count(/limits/), 3);
      });
    }

    for (const [name, answer] of passing) {
      if (name === '429') continue;
      it(`never repeats an insert after ${name}, but says that it is in doubt`, async () => {
        const clock = new FakeClock();
        const made = await server(() => answer);
        const error = await clock.runUntil(session(clientOf(made), { clock }).call(INSERT)).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        assert.ok(isDoubtful(error), String(error));
        assert.equal(error.status, answer.drop ? undefined : (answer.status ?? 200));
        assert.equal(made.count(/Contact/), 1);
        assert.doesNotMatch(error.message, /Secretname/);
      });
    }

    const neverProcessed: [string, Answer][] = [
      ['429', { status: 429, headers: { 'retry-after': '3' } }],
      ['an ended session', EXPIRED],
      [
        'the concurrent limit',
        {
          status: 403,
          body: [
            {
              message: 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.',
              errorCode: 'REQUEST_LIMIT_EXCEEDED',
            },
          ],
        },
      ],
      [
        "the day's limit",
        {
          status: 403,
          body: [{ message: 'TotalRequests Limit exceeded.', errorCode: 'REQUEST_LIMIT_EXCEEDED' }],
        },
      ],
    ];
    for (const [name, answer] of neverProcessed) {
      it(`repeats an insert after ${name}, which it surely did not get past`, async () => {
        const clock = new FakeClock();
        const answers = [answer];
        const made = await server(
          () => answers.shift() ?? { status: 201, body: { id: '003', success: true } },
        );
        const { status } = await clock.runUntil(session(clientOf(made), { clock }).call(INSERT));
        assert.equal(status, 201);
        assert.equal(made.count(/Contact/), 2);
      });
    }

    it('repeats an insert that never left', async () => {
      const clock = new FakeClock();
      const made = await server(() => ({ status: 201, body: { id: '003', success: true } }));
      const shared = session(clientOf(made), { clock });
      await shared.call(LIMITS);
      const { port } = made;
      await made.stop();
      // Meets the end of the kept connection, so that the insert needs a new one.
      await fails(shared.call(LIMITS, { outageMs: 0 }), 'SF_REQUEST_FAILED');
      const callsBefore = shared.calls;
      const inserting = shared.call(INSERT);
      await until(() => clock.sleeping === 1, 'the insert waits');
      await made.start(port);
      assert.equal((await clock.runUntil(inserting)).status, 201);
      assert.equal(made.count(/Contact/), 1);
      assert.equal(shared.calls, callsBefore + 1);
    });

    it('heeds Retry-After as a date, by the clock of the org', async () => {
      const clock = new FakeClock('2026-01-01T00:00:00Z');
      const date = 'Thu, 01 Jan 2026 05:00:00 GMT';
      const answers: Answer[] = [
        { status: 503, headers: { date, 'retry-after': 'Thu, 01 Jan 2026 05:02:00 GMT' }, body: '' },
      ];
      const made = await server(() => answers.shift() ?? { headers: { date }, body: {} });
      const shared = session(clientOf(made), { clock });
      await clock.runUntil(shared.call(LIMITS));
      assert.deepEqual(clock.slept, [120_000]);
      assert.equal(shared.orgNow().toISOString(), '2026-01-01T05:00:00.000Z');
    });

    it('says once in the log that Salesforce is away', async () => {
      const clock = new FakeClock();
      const lines: string[] = [];
      const log = { info: () => {}, warn: (text: string) => lines.push(text), error: () => {} };
      let away = true;
      const made = await server(() => (away ? { status: 503, body: '' } : { body: {} }));
      const shared = session(clientOf(made), { clock, log });
      const calls = Promise.all(Array.from({ length: 20 }, () => shared.call(LIMITS)));
      await until(() => clock.sleeping === 20, 'all calls wait');
      away = false;
      await clock.runUntil(calls);
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', /Salesforce is away \(Limits: HTTP 503/);
    });
  });

  describe('at a limit of API calls', () => {
    const limit = (message: string): Answer => ({
      status: 403,
      body: [{ message, errorCode: 'REQUEST_LIMIT_EXCEEDED' }],
    });

    it('waits seconds for the concurrent one and far longer for the daily one', async () => {
      const waits: number[] = [];
      for (const text of [
        'ConcurrentRequests (Concurrent API Requests) Limit exceeded.',
        'TotalRequests Limit exceeded.',
      ]) {
        const clock = new FakeClock();
        const answers = [limit(text)];
        const made = await server(() => answers.shift() ?? { body: {} });
        await clock.runUntil(session(clientOf(made), { clock }).call(LIMITS));
        waits.push(...clock.slept);
      }
      const [concurrent = 0, daily = 0] = waits;
      assert.ok(concurrent >= 1_000 && concurrent <= 20_000, `${concurrent}`);
      assert.ok(daily >= 30_000 && daily <= 300_000, `${daily}`);
    });

    it('ends with SF_API_LIMIT when it does not clear', async () => {
      for (const [text, said] of [
        ['TotalRequests Limit exceeded.', /24 hours are used up/],
        ['ConcurrentRequests (Concurrent API Requests) Limit exceeded.', /too many long API calls/],
      ] as const) {
        const clock = new FakeClock();
        const made = await server(() => limit(text));
        const error = await fails(
          clock.runUntil(session(clientOf(made), { clock }).call(LIMITS)),
          'SF_API_LIMIT',
        );
        assert.match(error.message, said);
      }
    });

    it('knows the usage from every answer, refusals included', async () => {
      const made = await server(() => ({
        status: 404,
        headers: { 'sforce-limit-info': 'api-usage=95/100' },
        body: [{ errorCode: 'NOT_FOUND', message: '' }],
      }));
      const shared = session(clientOf(made), { apiBudgetPercent: 90 });
      assert.equal(shared.overBudget, false);
      await assert.rejects(shared.call(LIMITS), isRefusal);
      assert.deepEqual(shared.usage, { used: 95, allowed: 100 });
      assert.equal(shared.overBudget, true);
      assert.throws(
        () => shared.assertBudget(),
        (error) => isLoadError(error, 'SF_API_LIMIT'),
      );
    });
  });

  it('tells a call that was broken off after sending from one that never left', async () => {
    const made = await server((seen) => (seen.method === 'POST' ? undefined : { body: {} }));
    const shared = session(clientOf(made));
    await shared.call(LIMITS);
    const stop = new AbortController();
    const inserting = shared.call(INSERT, { signal: stop.signal });
    await until(() => made.count(/Contact/) === 1, 'the insert has come');
    stop.abort(new Error('flow stopped'));
    await assert.rejects(inserting, (error) => isDoubtful(error) && /flow stopped/.test(String(error.cause)));
    await assert.rejects(shared.call(INSERT, { signal: stop.signal }), /flow stopped/);
    await assert.rejects(shared.call(LIMITS, { signal: stop.signal }), /flow stopped/);
  });

  it('shows what Salesforce said, but no values of records', async () => {
    const said = { errorCode: 'JSON_PARSER_ERROR', message: "Cannot read 'Secretname'", fields: [] };
    const made = await server(() => ({ status: 400, body: [said] }));
    const shared = session(clientOf(made));
    await assert.rejects(shared.call(LIMITS), /JSON_PARSER_ERROR: Cannot read/);
    await assert.rejects(
      shared.call({ ...INSERT, isAboutRecords: true }),
      (error) =>
        isRefusal(error) &&
        /JSON_PARSER_ERROR/.test(error.message) &&
        !/Secretname/.test(error.message) &&
        error.errors[0]?.message === said.message,
    );
  });

  it('says what to do about a refusal that is known', async () => {
    const made = await server(() => ({
      status: 400,
      body: [{ errorCode: 'FEATURENOTENABLED', message: 'hardDelete is not enabled' }],
    }));
    await assert.rejects(
      session(clientOf(made)).call(LIMITS),
      /not enabled\. hardDelete needs the permission/,
    );
  });

  it('warns of a connection that is not encrypted, unless it stays on this machine', () => {
    const lines: string[] = [];
    const log = { info: () => {}, warn: (text: string) => lines.push(text), error: () => {} };
    for (const url of [
      'http://127.0.0.1:1',
      'http://localhost',
      'http://[::1]',
      'https://acme.my.salesforce.com',
    ]) {
      session(clientOf({ url }), { log });
    }
    assert.deepEqual(lines, []);
    session(clientOf({ url: 'http://org.example' }), { log });
    assert.match(lines[0] ?? '', /org\.example is not encrypted/);
  });

  it('breaks off what is under way when it is closed', async () => {
    const clock = new FakeClock();
    const made = await server(() => ({ status: 503, body: '' }));
    const shared = session(clientOf(made), { clock });
    const calling = shared.call(LIMITS);
    await until(() => clock.sleeping === 1, 'the call waits');
    const rejected = assert.rejects(calling, /was closed/);
    await shared.close();
    await rejected;
    assert.equal(clock.sleeping, 0);
  });

  it('refuses a version that has no ingest jobs', () => {
    const credentials = clientOf({ url: 'https://acme.my.salesforce.com' });
    for (const apiVersion of ['40.0', 'latest', '', '66.0/../..']) {
      assert.throws(
        () => new SalesforceSession({ credentials, apiVersion }),
        (error) => isLoadError(error, 'CONFIG_INVALID') && error.message.startsWith('apiVersion'),
      );
    }
  });
});
