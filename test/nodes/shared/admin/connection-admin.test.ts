import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { registerConnectionAdmin } from '../../../../nodes/shared/admin/connection-admin.ts';
import { type Org, startOrg } from '../../../../sandbox/org/org.ts';
import { LoadError } from '../../../../src/errors.ts';
import type { SalesforceConnection } from '../../../../src/load/connection.ts';
import type { Credentials } from '../../../../src/salesforce/credentials.ts';
import { connectTo } from '../../../support/loads.ts';
import { AdminServer } from './admin-server.ts';

describe('admin endpoints of sf-connection', () => {
  let org: Org;
  let connection: SalesforceConnection;
  let admin: AdminServer;

  before(async () => {
    org = await startOrg();
  });
  beforeEach(async () => {
    connection = connectTo(org);
    admin = await AdminServer.start(registerConnectionAdmin);
    admin.deploy('c1', 'sf-connection', { connection });
  });
  afterEach(async () => {
    await admin.stop();
    await connection.close();
  });
  after(() => org.close());

  it('tests the connection: org, user, version, what is left of the day, and no secret', async () => {
    const { status, body } = await admin.get('connection/c1/test');
    assert.equal(status, 200);
    assert.match(body.orgId, /^00D/);
    assert.equal(body.organizationName, 'Sandbox Org');
    assert.equal(body.apiVersion, '66.0');
    assert.ok(body.dailyApiRequests.remaining > 0);
    assert.ok(body.dailyBulkApiBatches.remaining > 0);
    assert.ok(!JSON.stringify(body).includes(org.credentials.clientSecret));
  });

  it("passes on Salesforce's own reason for a refused login", async () => {
    const wrong = connectTo(org, {
      session: {
        credentials: { flow: 'client-credentials', loginUrl: org.url, clientId: 'nobody', clientSecret: 'x' },
      },
    });
    admin.deploy('c1', 'sf-connection', { connection: wrong });
    const { status, body } = await admin.get('connection/c1/test');
    assert.equal(status, 502);
    assert.equal(body.code, 'SF_AUTH_FAILED');
    assert.match(body.message, /invalid_client/);
    await wrong.close();
  });

  describe('when the org is away', () => {
    const away = async (credentials: Credentials): Promise<{ code: string; message: string }> => {
      const gone = connectTo(org, { session: { credentials } });
      admin.deploy('c1', 'sf-connection', { connection: gone });
      const { status, body } = await admin.get('connection/c1/test');
      await gone.close();
      assert.equal(status, 502);
      return body;
    };
    const client = { clientId: 'client', clientSecret: 'secret' };

    it('tells of a login that nobody answers, with the address', async () => {
      const port = await closedPort();
      const loginUrl = `http://127.0.0.1:${port}`;
      const { code, message } = await away({ flow: 'client-credentials', loginUrl, ...client });
      assert.equal(code, 'SF_REQUEST_FAILED');
      assert.match(message, new RegExp(`connection refused: connect ECONNREFUSED 127\\.0\\.0\\.1:${port}$`));
    });

    it('tells of a host of several addresses', async () => {
      const loginUrl = `http://localhost:${await closedPort()}`;
      const { message } = await away({ flow: 'client-credentials', loginUrl, ...client });
      assert.match(message, /connection refused: .*ECONNREFUSED/);
    });

    it('tells of a host name that nobody knows', async () => {
      const loginUrl = 'https://nobody.invalid';
      const { message } = await away({ flow: 'client-credentials', loginUrl, ...client });
      assert.match(message, /host (?:not found|name cannot be looked up for now): .*nobody\.invalid/);
    });

    it('tells the same with a given access token, which needs no login', async () => {
      const instanceUrl = `http://127.0.0.1:${await closedPort()}`;
      const { code, message } = await away({ flow: 'access-token', instanceUrl, accessToken: 'token' });
      assert.equal(code, 'SF_REQUEST_FAILED');
      assert.match(message, /connection refused: connect ECONNREFUSED/);
    });

    it('tells also while a load waits for the same login', async () => {
      const loginUrl = `http://127.0.0.1:${await closedPort()}`;
      const gone = connectTo(org, {
        session: { credentials: { flow: 'client-credentials', loginUrl, ...client } },
      });
      const load = gone.session.identity().then(
        () => 'logged in',
        (error: Error) => error.message,
      );
      admin.deploy('c1', 'sf-connection', { connection: gone });
      const { body } = await admin.get('connection/c1/test');
      assert.match(body.message, /connection refused/);
      await gone.close();
      assert.match(await load, /connection to Salesforce was closed/, 'the load has waited on');
    });
  });

  it('lists objects, with what may be done to each', async () => {
    const { body } = await admin.get('connection/c1/objects');
    const contact = body.find((object: { name: string }) => object.name === 'Contact');
    assert.deepEqual(contact, {
      name: 'Contact',
      label: 'Contact',
      custom: false,
      createable: true,
      updateable: true,
      deletable: true,
    });
  });

  it('lists fields: required, writable, external ids, parents', async () => {
    const { body } = await admin.get('connection/c1/fields?object=Contact');
    const field = (name: string) => body.find((one: { name: string }) => one.name === name);
    assert.equal(field('LastName').required, true);
    assert.equal(field('FirstName').required, false);
    assert.equal(field('Name').createable, false);
    assert.equal(field('External_Id__c').externalId, true);
    assert.deepEqual(field('AccountId').referenceTo, ['Account']);
    assert.equal(field('AccountId').relationshipName, 'Account');
  });

  it('keeps descriptions until somebody asks for fresh ones', async () => {
    const describes = () => org.audit.requests(/Contact\/describe$/).length;
    await admin.get('connection/c1/fields?object=Contact');
    const first = describes();
    await admin.get('connection/c1/fields?object=Contact');
    assert.equal(describes(), first);
    await admin.get('connection/c1/fields?object=Contact&fresh=true');
    assert.equal(describes(), first + 1);
  });

  it('bounds how often somebody who may only read makes it ask the org anew', async () => {
    admin.denied.add('sf-bulk.write');
    const ask = async (path: string) => (await admin.get(`connection/c1/${path}`)).status;
    const statuses: number[] = [];
    for (let call = 0; call < 7; call += 1)
      statuses.push(await ask('objects?fresh=true'), await ask('fields?object=Contact&fresh=true'));
    assert.deepEqual(statuses, [...Array(12).fill(200), 429, 429]);
    assert.equal(await ask('fields?object=Contact'), 200);
  });

  it('asks anew as often as before where the object has no name of the API', async () => {
    const statuses: number[] = [];
    for (const object of ['My Object', 'My Object', 'My Object', 'Contact'])
      statuses.push(
        (await admin.get(`connection/c1/fields?object=${encodeURIComponent(object)}&fresh=true`)).status,
      );
    assert.deepEqual(statuses, [400, 400, 400, 200]);
  });

  it('names an object that is not there', async () => {
    const { status, body } = await admin.get('connection/c1/fields?object=Nothing__c');
    assert.deepEqual([status, body.code], [400, 'CONFIG_INVALID']);
    assert.match(body.message, /Nothing__c/);
  });

  it('answers for nodes that run, and of their type', async () => {
    admin.deploy('d1', 'sync-database', {});
    for (const id of ['nobody', 'd1']) {
      const { status, body } = await admin.get(`connection/${id}/objects`);
      assert.deepEqual([status, body.code], [404, 'NOT_DEPLOYED']);
    }
  });

  it('says what is wrong with a node that is not set up', async () => {
    const broken = Object.defineProperty({}, 'connection', {
      enumerable: true,
      get: () => {
        throw new LoadError('CONFIG_INVALID', 'sf-connection: loginUrl is missing.');
      },
    });
    admin.nodes.set('c1', Object.assign(Object.create(broken), { id: 'c1', type: 'sf-connection' }));
    const { status, body } = await admin.get('connection/c1/test');
    assert.deepEqual(
      [status, body],
      [400, { code: 'CONFIG_INVALID', message: 'sf-connection: loginUrl is missing.' }],
    );
  });

  it('asks for a permission: reading for descriptions, writing for a login', async () => {
    admin.denied.add('sf-bulk.write');
    assert.equal((await admin.get('connection/c1/test')).status, 401);
    assert.equal((await admin.get('connection/c1/objects')).status, 200);
    admin.denied.add('sf-bulk.read');
    assert.equal((await admin.get('connection/c1/objects')).status, 401);
  });

  it('bounds how often a connection is tested', async () => {
    const statuses: number[] = [];
    for (let call = 0; call < 13; call += 1) statuses.push((await admin.get('connection/c1/test')).status);
    assert.deepEqual(statuses, [...Array(12).fill(200), 429]);
  });
});

/** A port on which nothing listens: the system gave it a moment ago and has it back. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
