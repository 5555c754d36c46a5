import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { Fault } from '../../../sandbox/org/org.ts';
import { type Answer, lines, orgFor, parsed, rows } from './client.ts';

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

describe("the sandbox org's faults on jobs", () => {
  const sandbox = orgFor();
  afterEach(() => sandbox.org.jobFaults.clear());
  const csv = (prefix: string, count = 1000): string => rows('Key__c', count, (n) => `${prefix}-${n}`);
  const load = (text: string) => sandbox.client.load(LOADS, text);

  it('fail: at once, with its message, everything unprocessed', async () => {
    sandbox.org.jobFaults.add({
      kind: 'fail',
      errorMessage: 'InternalServerError : Retried more than 15 times',
    });
    const { info, unprocessed } = await load(csv('fail'));
    assert.deepEqual(
      [info.state, info.errorMessage],
      ['Failed', 'InternalServerError : Retried more than 15 times'],
    );
    assert.equal(lines(unprocessed).length, 1000);
    assert.equal((await load(csv('next'))).info.state, 'JobComplete', 'the next job is spared');
  });

  it('fail-half: what was saved stays, the rest is unprocessed, and all is accounted for', async () => {
    for (const [count, half] of [
      [1000, 400],
      [7, 3],
    ] as const) {
      sandbox.org.jobFaults.add({ kind: 'fail-half' });
      const { info, success, failed, unprocessed } = await load(csv(`half${count}`, count));
      assert.equal(info.state, 'Failed');
      assert.equal(info.numberRecordsProcessed, half);
      assert.deepEqual(
        [lines(success).length, lines(failed).length, lines(unprocessed).length],
        [half, 0, count - half],
      );
      const keys = [...lines(success), ...lines(unprocessed)].map((line) => /"([^"]*)"$/.exec(line)?.[1]);
      assert.equal(new Set(keys).size, count);
    }
  });

  it('abort: by somebody, after so many records; the nth job of an object', async () => {
    sandbox.org.jobFaults.add({ kind: 'abort', afterRecords: 600, nth: 2, object: 'Load_Test__c' });
    assert.equal((await load(csv('one'))).info.state, 'JobComplete');
    await sandbox.client.load({ object: 'Account', operation: 'insert' }, 'Name\nA\n');
    const { info, unprocessed } = await load(csv('two'));
    assert.deepEqual(
      [info.state, info.numberRecordsProcessed, lines(unprocessed).length],
      ['Aborted', 600, 400],
    );
  });

  it('stall: no progress until released, or until the job is aborted', async () => {
    sandbox.org.jobFaults.add({ kind: 'stall', times: 2 });
    const first = await sandbox.client.submit(LOADS, csv('stall'));
    const second = await sandbox.client.submit(LOADS, csv('stall2'));
    const until = async (id: string): Promise<void> => {
      while ((await sandbox.client.info(id)).numberRecordsProcessed < 400) {}
    };
    await until(first);
    await until(second);
    const [a, b] = [await sandbox.client.info(first), await sandbox.client.info(first)];
    assert.deepEqual([a.state, a.numberRecordsProcessed, b.numberRecordsProcessed], ['InProgress', 400, 400]);
    await sandbox.client.setState(second, 'Aborted');
    assert.equal(lines((await sandbox.client.files(second)).success).length, 400);
    sandbox.org.jobFaults.release(first);
    const done = await sandbox.client.finished(first);
    assert.deepEqual([done.state, done.numberRecordsProcessed], ['JobComplete', 1000]);
  });

  it('stuck: stays UploadComplete until released; deletable meanwhile', async () => {
    sandbox.org.jobFaults.add({ kind: 'stuck', times: 2 });
    const first = await sandbox.client.submit(LOADS, csv('stuck'));
    const second = await sandbox.client.submit(LOADS, csv('stuck2'));
    for (let i = 0; i < 3; i++) {
      assert.equal((await sandbox.client.info(first)).state, 'UploadComplete');
    }
    assert.equal((await sandbox.client.call('DELETE', `/jobs/ingest/${second}`)).status, 204);
    sandbox.org.jobFaults.release();
    assert.equal((await sandbox.client.finished(first)).state, 'JobComplete');
    assert.equal(sandbox.org.audit.insertsPerKey('Load_Test__c', 'Key__c', ['stuck2-1']).missing.length, 1);
  });

  it('vanish: 404 from its moment on', async () => {
    for (const when of ['closed', 'half', 'complete'] as const) {
      sandbox.org.jobFaults.add({ kind: 'vanish', when });
      const id = await sandbox.client.submit(LOADS, csv(`vanish-${when}`));
      while ((await sandbox.client.call('GET', `/jobs/ingest/${id}`)).status !== 404) {}
      assert.equal((await sandbox.client.call('GET', `/jobs/ingest/${id}/failedResults`)).status, 404);
    }
  });

  it('results: empty, or 204', async () => {
    sandbox.org.jobFaults.add({ kind: 'results', files: ['failedResults'], status: 204 });
    sandbox.org.jobFaults.add({ kind: 'results', files: ['successfulResults'] });
    const { id, unprocessed } = await load(csv('results', 3));
    const failed = await sandbox.client.call('GET', `/jobs/ingest/${id}/failedResults`);
    const success = await sandbox.client.call('GET', `/jobs/ingest/${id}/successfulResults`);
    assert.deepEqual([failed.status, failed.text, success.status, success.text], [204, '', 200, '']);
    assert.equal(unprocessed, 'Key__c\n');
  });
});

describe("the sandbox org's jobs in time", () => {
  const sandbox = orgFor({ recordsPerSecond: 5000, startDelayMs: 80, parallelJobs: 2 });

  it('start after the delay and run no faster than asked', async () => {
    const began = performance.now();
    const id = await sandbox.client.submit(
      LOADS,
      rows('Key__c', 1000, (n) => `slow-${n}`),
    );
    assert.equal((await sandbox.client.info(id)).state, 'UploadComplete');
    await sandbox.client.finished(id);
    assert.ok(performance.now() - began >= 80 + 190);
  });

  it('run as many at once as allowed', async () => {
    const ids = await Promise.all(
      [1, 2, 3, 4].map((n) =>
        sandbox.client.submit(
          LOADS,
          rows('Key__c', 400, (i) => `p${n}-${i}`),
        ),
      ),
    );
    await Promise.all(ids.map((id) => sandbox.client.finished(id)));
    assert.equal(sandbox.org.audit.mostJobsInProgress, 2);
  });

  it('an abort in the middle keeps what was saved', async () => {
    const id = await sandbox.client.submit(
      LOADS,
      rows('Key__c', 5000, (n) => `abort-${n}`),
    );
    while (((await sandbox.client.info(id)).numberRecordsProcessed ?? 0) < 400) {}
    assert.equal(parsed(await sandbox.client.setState(id, 'Aborted')).state, 'Aborted');
    const { success, unprocessed } = await sandbox.client.files(id);
    assert.ok(lines(success).length >= 400 && lines(success).length < 5000);
    assert.equal(lines(success).length + lines(unprocessed).length, 5000);
    const keys = [...lines(success), ...lines(unprocessed)].map((line) => /"([^"]*)"$/.exec(line)?.[1]);
    assert.equal(new Set(keys).size, 5000);
  });
});
