import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { Fault } from '../../../sandbox/org/org.ts';
import { type Answer, orgFor, rows } from './client.ts';

const LOADS = { object: 'Load_Test__c', operation: 'insert' };

describe("the sandbox org's faults on requests", () => {
  const sandbox = orgFor({ seed: 42 });
  afterEach(() => sandbox.org.faults.clear());

  const limits = (): Promise<Answer> => sandbox.client.call('GET', '/limits');
  const isLost = (call: Promise<unknown>): Promise<boolean> =>
    call.then(
      () => false,
      () => true,
    );
  const create = (key: string) => sandbox.client.call('POST', '/sobjects/Load_Test__c', { Key__c: key });

  it('strike the nth match, a range, a number of times, and only their method and path', async () => {
    const statuses = async (fault: Omit<Fault, 'kind'>): Promise<number[]> => {
      sandbox.org.faults.clear();
      sandbox.org.faults.add({ kind: 'status', status: 503, ...fault });
      const found: number[] = [];
      for (let i = 0; i < 5; i++) {
        found.push((await limits()).status);
      }
      return found;
    };
    assert.deepEqual(await statuses({ nth: 2 }), [200, 503, 200, 200, 200]);
    assert.deepEqual(await statuses({ from: 2, to: 3 }), [200, 503, 503, 200, 200]);
    assert.deepEqual(await statuses({ from: 4 }), [200, 200, 200, 503, 503]);
    assert.deepEqual(await statuses({ times: 1 }), [503, 200, 200, 200, 200]);
    assert.deepEqual(await statuses({ method: 'POST' }), [200, 200, 200, 200, 200]);
    assert.deepEqual(await statuses({ path: /\/jobs/ }), [200, 200, 200, 200, 200]);
    assert.deepEqual(await statuses({ path: 'limits$' }), [503, 503, 503, 503, 503]);
  });

  it('strike with a probability, the same requests for the same seed', async () => {
    const fault = sandbox.org.faults.add({ kind: 'status', status: 500, probability: 0.3 });
    for (let i = 0; i < 100; i++) {
      await limits();
    }
    const struck = sandbox.org.faults.struck(fault);
    assert.ok(struck > 15 && struck < 45, `${struck} of 100`);
    sandbox.org.faults.remove(fault);
    assert.equal((await limits()).status, 200);
  });

  it('status: body as text or JSON, headers', async () => {
    sandbox.org.faults.add({
      kind: 'status',
      status: 503,
      body: '<html>busy</html>',
      headers: { 'Retry-After': '7' },
      times: 1,
    });
    const html = await limits();
    assert.deepEqual(
      [html.status, html.text, html.headers.get('retry-after')],
      [503, '<html>busy</html>', '7'],
    );
    assert.match(html.headers.get('content-type') ?? '', /text\/html/);
    sandbox.org.faults.add({
      kind: 'status',
      status: 403,
      body: [{ errorCode: 'REQUEST_LIMIT_EXCEEDED' }],
      times: 1,
    });
    assert.equal((await limits()).text, '[{"errorCode":"REQUEST_LIMIT_EXCEEDED"}]');
  });

  it('drop-before: nothing happened; drop-after: it happened', async () => {
    sandbox.org.faults.add({ kind: 'drop-before', path: /sobjects/, times: 1 });
    assert.ok(await isLost(create('before')));
    sandbox.org.faults.clear();
    sandbox.org.faults.add({ kind: 'drop-after', path: /sobjects/, times: 1 });
    assert.ok(await isLost(create('after')));
    const { keys, missing } = sandbox.org.audit.insertsPerKey('Load_Test__c', 'Key__c', ['before', 'after']);
    assert.deepEqual([keys, missing], [1, ['before']]);
    const [dropped] = sandbox.org.audit.requests(/sobjects/).slice(-1);
    assert.deepEqual([dropped?.status, dropped?.fault], [0, 'drop-after']);
  });

  it('cut and end-early: the answer breaks off, or ends as if that were all', async () => {
    const { id } = await sandbox.client.load(
      LOADS,
      rows('Key__c', 500, (n) => `cut-${n}`),
    );
    const results = () => sandbox.client.call('GET', `/jobs/ingest/${id}/successfulResults`);
    const whole = (await results()).text;
    sandbox.org.faults.add({ kind: 'cut', path: /successfulResults/, bytes: 5000, times: 1 });
    assert.ok(await isLost(results()));
    sandbox.org.faults.add({ kind: 'end-early', path: /successfulResults/, bytes: 5000, times: 1 });
    assert.equal((await results()).text, whole.slice(0, 5000));
    assert.equal((await results()).text, whole);
    sandbox.org.faults.add({ kind: 'cut', path: /limits/, bytes: 10, times: 1 });
    assert.ok(await isLost(limits()));
  });

  it('cut-upload: the job stays Open and without data', async () => {
    const id = await sandbox.client.createJob(LOADS);
    const csv = rows('Key__c', 50_000, (n) => `upload-${n}`);
    sandbox.org.faults.add({ kind: 'cut-upload', method: 'PUT', bytes: 100_000, times: 1 });
    assert.ok(await isLost(sandbox.client.upload(id, csv)));
    const info = await sandbox.client.info(id);
    assert.deepEqual([info.state, info.numberRecordsProcessed], ['Open', undefined]);
    assert.equal((await sandbox.client.upload(id, csv)).status, 201);
  });

  it('an upload that the client breaks off leaves no data either', async () => {
    const id = await sandbox.client.createJob(LOADS);
    await new Promise<void>((resolve) => {
      const put = request(`${sandbox.org.url}/services/data/v66.0/jobs/ingest/${id}/batches`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${sandbox.client.token}`, 'content-type': 'text/csv' },
      });
      put.on('error', () => resolve());
      put.write('Key__c\nhalf\n', () => put.destroy(new Error('gone')));
    });
    const info = await sandbox.client.info(id);
    assert.deepEqual([info.state, info.numberRecordsProcessed], ['Open', undefined]);
    await sandbox.client.setState(id, 'Aborted');
  });

  it('status after some bytes of an upload reaches the client', async () => {
    const id = await sandbox.client.createJob(LOADS);
    sandbox.org.faults.add({ kind: 'status', method: 'PUT', status: 401, bytes: 1000, body: [], times: 1 });
    const answer = await sandbox.client.upload(
      id,
      rows('Key__c', 50_000, (n) => `early-${n}`),
    );
    assert.equal(answer.status, 401);
    assert.equal((await sandbox.client.info(id)).numberRecordsProcessed, undefined);
  });

  it('hang: no answer until the client gives up', async () => {
    sandbox.org.faults.add({ kind: 'hang', path: /limits/, times: 1 });
    const url = `${sandbox.org.url}/services/data/v66.0/limits`;
    const controller = new AbortController();
    const hung = fetch(url, { signal: controller.signal });
    const other = await sandbox.client.call('GET', '/sobjects');
    assert.equal(other.status, 200);
    controller.abort();
    await assert.rejects(hung);
  });

  it('delay and throttle take their time', async () => {
    const timed = async (call: () => Promise<unknown>): Promise<number> => {
      const began = performance.now();
      await call();
      return performance.now() - began;
    };
    sandbox.org.faults.add({ kind: 'delay', path: /limits/, ms: 120, times: 1 });
    assert.ok((await timed(limits)) >= 115);
    const id = await sandbox.client.createJob(LOADS);
    sandbox.org.faults.add({ kind: 'throttle', method: 'PUT', bytesPerSecond: 50_000, times: 1 });
    assert.ok((await timed(() => sandbox.client.upload(id, `Key__c\n${'x'.repeat(10_000)}\n`))) >= 150);
    sandbox.org.faults.add({
      kind: 'throttle',
      path: /limits/,
      bytesPerSecond: 5000,
      direction: 'down',
      times: 1,
    });
    assert.ok((await timed(limits)) >= 100);
  });

  it('reach the token endpoint as well, and several strike together', async () => {
    sandbox.org.faults.add({ kind: 'status', path: /oauth2\/token/, status: 503, times: 1 });
    sandbox.org.faults.add({ kind: 'delay', path: /oauth2\/token/, ms: 1, times: 1 });
    assert.equal((await sandbox.client.login()).status, 503);
    assert.equal((await sandbox.client.login()).status, 200);
    assert.ok(sandbox.org.audit.requests(/token/).some((seen) => seen.fault === 'status+delay'));
  });
});
