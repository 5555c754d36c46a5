import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Fault, type Org, type OrgOptions, startOrg } from '../../sandbox/org/org.ts';
import { type ErrorCode, isLoadError } from '../../src/errors.ts';
import type { JobSpec } from '../../src/job.ts';
import type { Logger } from '../../src/log.ts';
import { IngestApi, type JobInfo } from '../../src/salesforce/ingest.ts';
import { parseJobInfo } from '../../src/salesforce/job-info.ts';
import { BodyBrokenOff, isDoubtful, isRefusal } from '../../src/salesforce/outcome.ts';
import { SalesforceSession, type SessionOptions } from '../../src/salesforce/session.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { until } from '../support/until.ts';

const SPEC: JobSpec = {
  object: 'Contact',
  operation: 'insert',
  externalIdField: null,
  columnDelimiter: 'COMMA',
  lineEnding: 'LF',
  assignmentRuleId: null,
};

const JOB = /jobs\/ingest\/750\w+$/;
const BATCHES = /batches$/;

describe('the ingest calls', () => {
  let directory: string;
  let file: string;
  const rows = 2_000;
  const closing: (() => Promise<unknown>)[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingest-'));
    file = join(directory, 'contacts.csv');
    const lines = Array.from({ length: rows }, (_, index) => `Person ${index},K${index}`);
    await writeFile(file, `LastName,External_Id__c\n${lines.join('\n')}\n`);
  });
  after(() => rm(directory, { recursive: true, force: true }));
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  interface Bench {
    org: Org;
    api: IngestApi;
    clock: FakeClock;
    session: SalesforceSession;
  }

  async function bench(options: OrgOptions = {}, more: Partial<SessionOptions> = {}): Promise<Bench> {
    const org = await startOrg(options);
    const clock = new FakeClock();
    const { clientId, clientSecret } = org.credentials;
    const session = new SalesforceSession({
      credentials: { flow: 'client-credentials', loginUrl: org.url, clientId, clientSecret },
      apiVersion: '66.0',
      clock,
      random: () => 0.5,
      timeouts: { answerMs: 1_000, longAnswerMs: 1_000, silenceMs: 1_000 },
      ...more,
    });
    closing.push(
      () => org.close(),
      () => session.close(),
    );
    return { org, api: new IngestApi(session), clock, session };
  }

  function warnLog() {
    const warnings: string[] = [];
    const log: Logger = { info: () => {}, warn: (text) => warnings.push(text), error: () => {} };
    return { log, warnings };
  }

  async function finished(api: IngestApi, jobId: string): Promise<JobInfo> {
    let job: JobInfo | undefined;
    await until(async () => {
      job = await api.info(jobId);
      return ['JobComplete', 'Failed', 'Aborted'].includes(job.state);
    }, `job ${jobId} ends`);
    if (job === undefined) throw new Error('no job');
    return job;
  }

  async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
    return promise.then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  async function fails(promise: Promise<unknown>, code: ErrorCode): Promise<Error> {
    const error = await thrownBy(promise);
    assert.ok(isLoadError(error, code), `${code} expected: ${error}`);
    return error;
  }

  it('load a file and bring its results', async () => {
    const { api, org, session } = await bench();
    const meter = { calls: 0 };
    const created = await api.create(SPEC, { meter });
    assert.equal(created.state, 'Open');
    assert.match(created.id, /^750\w{15}$/);
    assert.equal(created.apiVersion, 66);
    assert.equal(created.numberRecordsProcessed, null);
    await api.upload(created.id, file, { meter });
    assert.equal((await api.close(created.id, { meter })).state, 'UploadComplete');
    const job = await finished(api, created.id);
    assert.equal(job.state, 'JobComplete');
    assert.equal(job.numberRecordsProcessed, rows);
    assert.equal(job.numberRecordsFailed, 0);

    const path = join(directory, 'ok.csv');
    let seen = 0;
    const { bytes } = await api.downloadResults(
      created.id,
      'successfulResults',
      path,
      {
        onChunk: (chunk) => {
          seen += chunk.length;
        },
      },
      { meter },
    );
    const text = await readFile(path, 'utf8');
    assert.equal(bytes, Buffer.byteLength(text));
    assert.equal(seen, bytes);
    assert.equal(text.trimEnd().split('\n').length, rows + 1);
    await api.downloadResults(created.id, 'failedResults', path, {}, { meter });
    assert.match(await readFile(path, 'utf8'), /^"sf__Id","sf__Error",/);
    await api.downloadResults(created.id, 'unprocessedrecords', path, {}, { meter });
    assert.equal(meter.calls, 6);
    assert.equal(org.audit.rows('Contact'), rows);
    assert.equal(org.audit.apiCalls, session.calls);
    assert.deepEqual(session.usage?.used, session.calls);
  });

  for (const gzip of [true, false]) {
    it(`bring the same results ${gzip ? 'gzipped' : 'plain'}`, async () => {
      const { api } = await bench({ gzip });
      const { id } = await api.create(SPEC);
      await api.upload(id, file);
      await api.close(id);
      await finished(api, id);
      const path = join(directory, 'zip.csv');
      await api.downloadResults(id, 'successfulResults', path);
      assert.match(await readFile(path, 'utf8'), /^"sf__Id","sf__Created",LastName,External_Id__c\n/);
    });
  }

  it('send every property of a job', async () => {
    const { api } = await bench();
    const job = await api.create({
      object: 'Case',
      operation: 'upsert',
      externalIdField: 'External_Id__c',
      columnDelimiter: 'SEMICOLON',
      lineEnding: 'CRLF',
      assignmentRuleId: '01Q000000000002AAA',
    });
    const { object, operation, externalIdFieldName, columnDelimiter, lineEnding, assignmentRuleId } = job;
    assert.deepEqual(
      { object, operation, externalIdFieldName, columnDelimiter, lineEnding, assignmentRuleId },
      {
        object: 'Case',
        operation: 'upsert',
        externalIdFieldName: 'External_Id__c',
        columnDelimiter: 'SEMICOLON',
        lineEnding: 'CRLF',
        assignmentRuleId: '01Q000000000002AAA',
      },
    );
  });

  it('tell a refusal by its code', async () => {
    const { api } = await bench();
    const error = await thrownBy(api.create({ ...SPEC, object: 'Nothing__c' }));
    assert.ok(isRefusal(error));
    assert.equal(error.errorCode, 'INVALIDENTITY');
    assert.match(error.message, /Create of an ingest job \(insert Nothing__c\) was refused/);
  });

  describe('create', () => {
    const faults: [string, Partial<Fault>, number][] = [
      ['503', { kind: 'status', status: 503 }, 1],
      [
        'a page',
        { kind: 'status', status: 500, body: '<html>', headers: { 'content-type': 'text/html' } },
        1,
      ],
      ['a reset before it was processed', { kind: 'drop-before' }, 1],
      ['a reset after it was processed', { kind: 'drop-after' }, 1],
      ['no answer', { kind: 'hang' }, 1],
      ['half an answer', { kind: 'cut', bytes: 40 }, 1],
      ['429', { kind: 'status', status: 429 }, 0],
      [
        'an ended session',
        {
          kind: 'status',
          status: 401,
          body: [{ errorCode: 'INVALID_SESSION_ID', message: 'Session expired' }],
        },
        0,
      ],
    ];
    for (const [name, fault, orphans] of faults) {
      it(`is made again after ${name}; orphans counted: ${orphans}`, async () => {
        const { log, warnings } = warnLog();
        const { api, org, clock } = await bench({}, { log });
        org.faults.add({ kind: 'status', method: 'POST', path: /ingest$/, times: 1, ...fault });
        const meter = { calls: 0, orphans: 0 };
        const job = await clock.runUntil(api.create(SPEC, { meter }));
        assert.equal(job.state, 'Open');
        assert.equal(meter.orphans, orphans);
        assert.equal(meter.calls, 2);
        assert.equal(org.audit.requests(/ingest$/, 'POST').length, 2);
        const told = warnings.filter((text) => text.includes('Open and empty'));
        assert.equal(told.length, orphans);
        if (orphans > 0)
          assert.match(
            told[0] ?? '',
            new RegExp(`\\(insert Contact\\): .* job ${job.id} was made in its place`),
          );
      });
    }

    it('that is broken off by us after it was sent says what it may have left', async () => {
      const { log, warnings } = warnLog();
      const { api, org } = await bench({}, { log });
      const number = org.faults.add({ kind: 'hang', method: 'POST', path: /ingest$/ });
      const stop = new AbortController();
      const meter = { calls: 0, orphans: 0 };
      const creating = api.create(SPEC, { meter, signal: stop.signal });
      await until(() => org.faults.struck(number) > 0, 'the call is in the air');
      stop.abort(new Error('closed'));
      await assert.rejects(creating, /closed/);
      assert.equal(meter.orphans, 1);
      assert.match(warnings.join('\n'), /\(insert Contact\): no answer at \d{4}-.*There may be one more job/);
    });
  });

  describe('upload', () => {
    const doubtful: [string, Partial<Fault>][] = [
      ['503', { kind: 'status', status: 503 }],
      ['503 in the middle', { kind: 'status', status: 503, bytes: 10_000 }],
      ['a reset at the start', { kind: 'drop-before' }],
      ['a reset in the middle', { kind: 'cut-upload', bytes: 10_000 }],
      ['a lost answer', { kind: 'drop-after' }],
      ['no answer', { kind: 'hang' }],
      ['429', { kind: 'status', status: 429 }],
      [
        'the concurrent limit',
        {
          kind: 'status',
          status: 403,
          body: [{ errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'ConcurrentRequests Limit exceeded.' }],
        },
      ],
    ];
    for (const [name, fault] of doubtful) {
      it(`is in doubt after ${name}, and never put to the job again`, async () => {
        const { api, org, clock } = await bench();
        const { id } = await api.create(SPEC);
        org.faults.add({ kind: 'status', method: 'PUT', path: BATCHES, ...fault });
        const error = await thrownBy(clock.runUntil(api.upload(id, file)));
        assert.ok(isDoubtful(error), String(error));
        assert.equal(org.audit.requests(BATCHES, 'PUT').length, 1);
      });
    }

    it('is in doubt when the session ends half-way, and the session is new by then', async () => {
      const { api, org, session } = await bench();
      const { id } = await api.create(SPEC);
      org.faults.add({
        kind: 'status',
        method: 'PUT',
        path: BATCHES,
        times: 1,
        status: 401,
        bytes: 10_000,
        body: [{ errorCode: 'INVALID_SESSION_ID', message: 'Session expired or invalid' }],
      });
      const error = await thrownBy(api.upload(id, file));
      assert.ok(isDoubtful(error), String(error));
      assert.equal(error.status, 401);
      assert.equal(session.logins, 2);
      assert.equal((await api.abort(id)).state, 'Aborted');
      const second = await api.create(SPEC);
      await api.upload(second.id, file);
      assert.equal(org.audit.requests(BATCHES, 'PUT').length, 2);
    });

    it('over a slow line is no error', async () => {
      const { api, org } = await bench();
      const { id } = await api.create(SPEC);
      const small = join(directory, 'slow.csv');
      await writeFile(small, `LastName\n${'Slow\n'.repeat(600)}`);
      // Three seconds at 1 KB/s, three times what an answer or a silence may take.
      org.faults.add({ kind: 'throttle', method: 'PUT', path: BATCHES, bytesPerSecond: 1024 });
      const slow = new IngestApi(
        new SalesforceSession({
          credentials: {
            flow: 'client-credentials',
            loginUrl: org.url,
            clientId: org.credentials.clientId,
            clientSecret: org.credentials.clientSecret,
          },
          apiVersion: '66.0',
        }),
      );
      await slow.upload(id, small);
      assert.equal((await api.info(id)).numberRecordsProcessed, 0);
    });

    it('is refused where the job takes no data', async () => {
      const { api } = await bench();
      const { id } = await api.create(SPEC);
      await api.abort(id);
      const error = await thrownBy(api.upload(id, file));
      assert.ok(isRefusal(error), String(error));
      assert.equal(error.errorCode, 'INVALIDJOBSTATE');
    });

    it('waits for an org that cannot be reached, since nothing was sent', async () => {
      const { api, org, clock, session } = await bench();
      const { id } = await api.create(SPEC);
      await org.close();
      await fails(
        session.call({ what: 'Probe', method: 'GET', path: '/limits', kind: 'safe' }, { outageMs: 0 }),
        'SF_REQUEST_FAILED',
      );
      const error = await fails(
        clock.runUntil(api.upload(id, file, { outageMs: 60_000 })),
        'SF_REQUEST_FAILED',
      );
      assert.match(error.message, /ECONNREFUSED/);
    });
  });

  describe('close', () => {
    async function uploaded(): Promise<Bench & { id: string }> {
      const made = await bench();
      const { id } = await made.api.create(SPEC);
      await made.api.upload(id, file);
      return { ...made, id };
    }

    const faults: [string, Partial<Fault>, number][] = [
      ['503', { kind: 'status', status: 503 }, 2],
      ['an answer lost before it was processed', { kind: 'drop-before' }, 2],
      ['an answer lost after it was processed', { kind: 'drop-after' }, 1],
      ['no answer', { kind: 'hang' }, 2],
      ['half an answer', { kind: 'cut', bytes: 30 }, 1],
      [
        'an ended session',
        {
          kind: 'status',
          status: 401,
          body: [{ errorCode: 'INVALID_SESSION_ID', message: 'Session expired' }],
        },
        2,
      ],
    ];
    for (const [name, fault, patches] of faults) {
      it(`takes, once, after ${name}`, async () => {
        const { api, org, clock, id } = await uploaded();
        org.faults.add({ kind: 'status', method: 'PATCH', path: JOB, times: 1, ...fault });
        const job = await clock.runUntil(api.close(id));
        assert.notEqual(job.state, 'Open');
        assert.equal(org.audit.requests(JOB, 'PATCH').length, patches);
        await finished(api, id);
        assert.deepEqual(org.audit.insertsPerKey('Contact', 'External_Id__c').repeatedCount, 0);
        assert.equal(org.audit.rows('Contact'), rows);
      });
    }

    it('of a job that is closed already is no error', async () => {
      const { api, clock, id } = await uploaded();
      await api.close(id);
      await finished(api, id);
      assert.equal((await clock.runUntil(api.close(id))).state, 'JobComplete');
    });

    it('of a job that somebody aborted tells so', async () => {
      const { api, id } = await uploaded();
      await api.abort(id);
      assert.equal((await api.close(id)).state, 'Aborted');
    });

    it('stays in doubt, and says so, when nothing comes through for long', async () => {
      const { api, org, clock, id } = await uploaded();
      org.faults.add({ method: 'PATCH', path: JOB, kind: 'drop-before' });
      const error = await thrownBy(clock.runUntil(api.close(id)));
      assert.ok(isDoubtful(error), String(error));
      assert.equal((await api.info(id)).state, 'Open');
    });
  });

  describe('abort', () => {
    it('may be asked for again and again', async () => {
      const { api, org, clock } = await bench();
      const { id } = await api.create(SPEC);
      org.faults.add({ method: 'PATCH', path: JOB, kind: 'drop-after', times: 1 });
      assert.equal((await clock.runUntil(api.abort(id))).state, 'Aborted');
      assert.equal((await api.abort(id)).state, 'Aborted');
    });

    it('of a job that has ended leaves it as it is, and tells how', async () => {
      const { api } = await bench();
      const { id } = await api.create(SPEC);
      await api.upload(id, file);
      await api.close(id);
      await finished(api, id);
      assert.equal((await api.abort(id)).state, 'JobComplete');
    });
  });

  describe('info', () => {
    const faults: [string, Partial<Fault>][] = [
      [
        'one 400',
        { kind: 'status', status: 400, body: [{ errorCode: 'API_ERROR', message: 'x' }], times: 1 },
      ],
      ['three 503', { kind: 'status', status: 503, times: 3 }],
      [
        'a page',
        { kind: 'status', status: 500, body: '<html>', headers: { 'content-type': 'text/html' }, times: 1 },
      ],
      ['a reset', { kind: 'drop-before', times: 1 }],
      ['no answer', { kind: 'hang', times: 1 }],
    ];
    for (const [name, fault] of faults) {
      it(`comes after ${name}`, async () => {
        const { api, org, clock } = await bench();
        const { id } = await api.create(SPEC);
        org.faults.add({ kind: 'status', method: 'GET', path: JOB, ...fault });
        assert.equal((await clock.runUntil(api.info(id))).id, id);
      });
    }

    it('is refused when the 400 stays', async () => {
      const { api, org, clock } = await bench();
      const { id } = await api.create(SPEC);
      org.faults.add({
        kind: 'status',
        method: 'GET',
        path: JOB,
        status: 400,
        body: [{ errorCode: 'API_ERROR', message: 'x' }],
      });
      assert.ok(isRefusal(await thrownBy(clock.runUntil(api.info(id)))));
      assert.equal(org.audit.requests(JOB, 'GET').length, 3);
    });

    it('says which job is gone, whatever is asked of it', async () => {
      const { api } = await bench();
      const id = '750000000000999AAA';
      const path = join(directory, 'gone.csv');
      const asks = [
        () => api.info(id),
        () => api.close(id),
        () => api.abort(id),
        () => api.upload(id, file),
        () => api.downloadResults(id, 'failedResults', path),
      ];
      for (const ask of asks) {
        const error = await fails(ask(), 'BULK_JOB_GONE');
        assert.match(error.message, /750000000000999AAA .* 7 days/);
      }
    });

    it('refuses what is no job id before it gets into a URL', async () => {
      const { api } = await bench();
      for (const id of ['', '750', '../../limits', '003000000000001AAA', '750000000000999AAA?x']) {
        await fails(api.info(id), 'CONFIG_INVALID');
      }
    });
  });

  describe('results', () => {
    async function done(options: OrgOptions = {}): Promise<Bench & { id: string; path: string }> {
      const made = await bench(options);
      const { id } = await made.api.create(SPEC);
      await made.api.upload(id, file);
      await made.api.close(id);
      await finished(made.api, id);
      return { ...made, id, path: join(directory, 'results.csv') };
    }

    for (const gzip of [true, false]) {
      it(`that break off (${gzip ? 'gzipped' : 'plain'}) are an error, and whole when asked for again`, async () => {
        const { api, org, id, path } = await done({ gzip });
        for (const bytes of [0, 1, 777, 20_000]) {
          org.faults.add({ method: 'GET', path: /successfulResults/, kind: 'cut', bytes, times: 1 });
          const error = await thrownBy(api.downloadResults(id, 'successfulResults', path));
          assert.ok(error instanceof BodyBrokenOff, String(error));
          assert.ok(isLoadError(error, 'SF_REQUEST_FAILED'));
        }
        await api.downloadResults(id, 'successfulResults', path);
        assert.equal((await readFile(path, 'utf8')).trimEnd().split('\n').length, rows + 1);
      });
    }

    it('come after 503 and a page', async () => {
      const { api, org, clock, id, path } = await done();
      org.faults.add({ path: /failedResults/, kind: 'status', status: 503, times: 2 });
      org.faults.add({
        path: /failedResults/,
        kind: 'status',
        status: 200,
        body: '<html>Sorry</html>',
        headers: { 'content-type': 'text/html' },
        nth: 3,
      });
      await clock.runUntil(api.downloadResults(id, 'failedResults', path));
      assert.match(await readFile(path, 'utf8'), /^"sf__Id"/);
    });

    it('that are none may be 204 or an empty 200, and leave no older rows in the file', async () => {
      const { api, org, id, path } = await done();
      for (const [status, body] of [
        [204, undefined],
        [200, ''],
      ] as const) {
        await writeFile(path, 'older rows');
        org.faults.add({
          path: /failedResults/,
          kind: 'status',
          status,
          body,
          times: 1,
          headers: { 'content-type': 'text/csv' },
        });
        assert.deepEqual(await api.downloadResults(id, 'failedResults', path), { bytes: 0 });
        assert.equal(await readFile(path, 'utf8'), '');
      }
    });

    it('that are wanted no more are broken off', async () => {
      const { api, org, id, path } = await done({ gzip: false });
      org.faults.add({
        path: /successfulResults/,
        kind: 'throttle',
        direction: 'down',
        bytesPerSecond: 50_000,
      });
      const stop = new AbortController();
      const onChunk = () => stop.abort(new Error('flow stopped'));
      await assert.rejects(
        api.downloadResults(id, 'successfulResults', path, { onChunk }, { signal: stop.signal }),
        /flow stopped/,
      );
    });
  });
});

describe('the answer about a job', () => {
  it('is read whatever its key order, numbers as text included', () => {
    const job = parseJobInfo({
      state: 'JobComplete',
      retries: '2',
      apiVersion: '60.0',
      id: '750R0',
      errorMessage: '',
    });
    assert.equal(job.retries, 2);
    assert.equal(job.apiVersion, 60);
    assert.equal(job.errorMessage, null);
    assert.equal(job.numberRecordsFailed, null);
  });

  for (const body of [undefined, null, [], {}, { id: '750' }, { id: '750', state: 'Dreaming' }, 'text']) {
    it(`${JSON.stringify(body)} is none`, () => {
      assert.throws(
        () => parseJobInfo(body),
        (error) => isLoadError(error, 'SF_REQUEST_FAILED'),
      );
    });
  }
});
