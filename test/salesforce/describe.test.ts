import assert from 'node:assert/strict';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { isLoadError } from '../../src/errors.ts';
import { DescribeApi } from '../../src/salesforce/describe.ts';
import { readLimits, testConnection } from '../../src/salesforce/limits.ts';
import { SalesforceSession } from '../../src/salesforce/session.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { until } from '../support/until.ts';

describe('describe and limits', () => {
  let org: Org;
  let session: SalesforceSession;
  const clock = new FakeClock();

  before(async () => {
    org = await startOrg();
    const { clientId, clientSecret } = org.credentials;
    session = new SalesforceSession({
      credentials: { flow: 'client-credentials', loginUrl: org.url, clientId, clientSecret },
      apiVersion: '66.0',
      clock,
      random: () => 0.5,
    });
  });
  after(async () => {
    await session.close();
    await org.close();
  });
  beforeEach(() => org.reset());

  it('lists the objects', async () => {
    const objects = await new DescribeApi(session).describeGlobal();
    const contact = objects.find(({ name }) => name === 'Contact');
    assert.deepEqual(contact, {
      name: 'Contact',
      label: 'Contact',
      custom: false,
      createable: true,
      updateable: true,
      deletable: true,
      queryable: true,
    });
    assert.equal(objects.find(({ name }) => name === 'Load_Test__c')?.custom, true);
  });

  it('describes the fields of an object', async () => {
    const { fields, name } = await new DescribeApi(session).describe('Contact');
    assert.equal(name, 'Contact');
    const field = (wanted: string) => fields.find((candidate) => candidate.name === wanted);
    assert.equal(field('LastName')?.nillable, false);
    assert.equal(field('Name')?.createable, false);
    assert.deepEqual(
      [
        field('External_Id__c')?.externalId,
        field('External_Id__c')?.unique,
        field('External_Id__c')?.idLookup,
      ],
      [true, true, true],
    );
    assert.deepEqual(
      [field('AccountId')?.referenceTo, field('AccountId')?.relationshipName],
      [['Account'], 'Account'],
    );
    const level = field('Level__c');
    assert.equal(level?.restrictedPicklist, true);
    assert.ok((level?.picklistValues.length ?? 0) > 0);
    assert.deepEqual(Object.keys(level?.picklistValues[0] ?? {}), ['value', 'label', 'active']);
  });

  it('asks once for all who ask, and again when the answer is old', async () => {
    const describes = new DescribeApi(session, { lifeMs: 60_000 });
    const meter = { calls: 0 };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => describes.describe('Contact', { meter })),
    );
    assert.ok(answers.every((answer) => answer === answers[0]));
    await describes.describe('contact', { meter });
    assert.equal(meter.calls, 1);
    await clock.advance(61_000);
    await describes.describe('Contact', { meter });
    assert.equal(meter.calls, 2);
    describes.clear();
    await describes.describe('Contact', { meter });
    assert.equal(meter.calls, 3);
  });

  it('go on for who still waits, when the one who asked first leaves', async () => {
    org.faults.add({ path: /describe/, kind: 'status', status: 503, times: 1 });
    const describes = new DescribeApi(session);
    const [first, second] = [new AbortController(), new AbortController()];
    const meter = { calls: 0 };
    const [leaving, staying] = [
      describes.describe('Contact', { signal: first.signal, meter }),
      describes.describe('Contact', { signal: second.signal }),
    ];
    await until(() => org.audit.requests(/describe/).length > 0, 'it is under way');
    first.abort(new Error('the first node was stopped'));
    await assert.rejects(leaving, /first node was stopped/);
    assert.equal((await clock.runUntil(staying)).name, 'Contact');
    assert.equal(meter.calls, 2, 'the first pays to the end');
    second.abort(new Error('the second node was stopped'));
    await assert.rejects(describes.describe('Contact', { signal: second.signal }), /second node was stopped/);
    assert.equal((await describes.describe('Contact')).name, 'Contact');
  });

  it('names an object that the org does not know, and asks again the next time', async () => {
    const describes = new DescribeApi(session);
    for (const _time of [1, 2]) {
      await assert.rejects(
        describes.describe('Nothing__c'),
        (error) =>
          isLoadError(error, 'CONFIG_INVALID') && /object Nothing__c is not known/.test(error.message),
      );
    }
    assert.equal(org.audit.requests(/Nothing__c/).length, 2);
    assert.throws(
      () => describes.describe('Contact/../User'),
      (error) => isLoadError(error, 'CONFIG_INVALID'),
    );
  });

  it('comes through a bad moment like any other safe call', async () => {
    org.faults.add({ path: /describe/, kind: 'status', status: 503, times: 2 });
    org.faults.add({ path: /describe/, kind: 'drop-before', nth: 3 });
    const { name } = await clock.runUntil(new DescribeApi(session).describe('Contact'));
    assert.equal(name, 'Contact');
  });

  it('reads the limits of the day', async () => {
    const limits = await readLimits(session);
    assert.equal(limits.dailyApiRequests?.max, 15_000_000);
    assert.equal(limits.dailyBulkApiBatches?.max, 15_000);
    assert.ok((limits.dailyApiRequests?.remaining ?? 0) < 15_000_000);
  });

  it('reports a connection', async () => {
    const report = await testConnection(session);
    assert.equal(report.username, org.credentials.username);
    assert.match(report.orgId, /^00D/);
    assert.equal(typeof report.organizationName, 'string');
    assert.equal(report.dailyApiRequests?.max, 15_000_000);
  });

  it('reports a connection whose user may not read the organisation', async () => {
    const body = [{ errorCode: 'INVALID_TYPE', message: "sObject type 'Organization' is not supported." }];
    org.faults.add({ path: /query.*Organization/, kind: 'status', status: 400, body });
    const report = await testConnection(session);
    assert.equal(report.organizationName, null);
    assert.match(report.userId, /^005/);
  });
});
