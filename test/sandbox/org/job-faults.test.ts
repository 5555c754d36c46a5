import assert from 'node:assert/strict';
import { until } from '../../support/until.ts';
import { lines, orgFor, parsed, rows } from './client.ts';

const LOADS = { object: 'Load_Test__c', operation: 'insert' };

function untilProcessed({ client }: ReturnType<typeof orgFor>, id: string, count: number): Promise<void> {
  return until(
    async () => ((await client.info(id)).numberRecordsProcessed ?? 0) >= count,
    `${count} records of ${id} are processed`,
  );
}

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
    for (const id of [first, second]) await untilProcessed(sandbox, id, 400);
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
      await until(
        async () => (await sandbox.client.call('GET', `/jobs/ingest/${id}`)).status === 404,
        `${id} is gone`,
      );
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
    await untilProcessed(sandbox, id, 400);
    assert.equal(parsed(await sandbox.client.setState(id, 'Aborted')).state, 'Aborted');
    const { success, unprocessed } = await sandbox.client.files(id);
    assert.ok(lines(success).length >= 400 && lines(success).length < 5000);
    assert.equal(lines(success).length + lines(unprocessed).length, 5000);
    const keys = [...lines(success), ...lines(unprocessed)].map((line) => /"([^"]*)"$/.exec(line)?.[1]);
    assert.equal(new Set(keys).size, 5000);
  });
});
