import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { UNENDING_RECORD_BYTES } from '../../src/csv/limits.ts';
import { isLoadError, type LoadError } from '../../src/errors.ts';
import type { Job } from '../../src/job.ts';
import { jobFromInfo, type OwnSide } from '../../src/load/job-info.ts';
import { JobResults } from '../../src/load/results.ts';
import { Scratch } from '../../src/load/scratch.ts';
import { IngestApi } from '../../src/salesforce/ingest.ts';
import { SalesforceSession } from '../../src/salesforce/session.ts';
import { FastClock } from '../chaos/fast-clock.ts';
import { until } from '../support/until.ts';

const NEVER = new AbortController().signal;
const SPEC = {
  object: 'Load_Test__c',
  operation: 'insert',
  externalIdField: null,
  columnDelimiter: 'COMMA',
  lineEnding: 'LF',
  assignmentRuleId: null,
} as const;
const DOWNLOADS = /\/(?:successfulResults|failedResults|unprocessedrecords)$/;

describe('results of a job', () => {
  let org: Org;
  let session: SalesforceSession;
  let ingest: IngestApi;
  let scratch: Scratch;
  const clock = new FastClock(1000);

  before(async () => {
    org = await startOrg();
    scratch = await Scratch.open();
  });
  beforeEach(async () => {
    await org.reset();
    const { clientId, clientSecret } = org.credentials;
    session = new SalesforceSession({
      credentials: { flow: 'client-credentials', loginUrl: org.url, clientId, clientSecret },
      apiVersion: '66.0',
      clock,
    });
    ingest = new IngestApi(session);
  });
  afterEach(() => session.close());
  after(async () => {
    await scratch.close();
    await org.close();
  });

  /** A job of this many rows, of which each tenth fails, in its final state. */
  async function endedJob(rows: number, own?: Partial<OwnSide>): Promise<Job> {
    const { id } = await ingest.create(SPEC);
    const path = join(tmpdir(), `results-test-${id}.csv`);
    const key = (index: number) => `r-${index % 10 === 9 ? 'VALIDATION-' : ''}${index}`;
    await writeFile(path, ['Key__c', ...Array.from({ length: rows }, (_, n) => key(n)), ''].join('\n'));
    await ingest.upload(id, path);
    await rm(path);
    await ingest.close(id);
    await until(async () => ['JobComplete', 'Failed'].includes((await ingest.info(id)).state), 'it ended');
    const known = { runId: 'run', index: 0, columns: ['Key__c'], records: rows, bytes: 1, ...own };
    return jobFromInfo(await ingest.info(id), known);
  }

  const download = (job: Job, signal = NEVER) =>
    JobResults.download(job, { ingest, scratch, clock, signal, meter: { calls: 0 } });

  const downloads = () => org.audit.requests(DOWNLOADS).length;

  async function incomplete(job: Job): Promise<LoadError> {
    let caught: unknown;
    await download(job).catch((error) => {
      caught = error;
    });
    assert.ok(isLoadError(caught, 'RESULTS_INCOMPLETE'), String(caught));
    assert.deepEqual(await leftBehind(), []);
    return caught;
  }

  async function leftBehind(): Promise<string[]> {
    return readdir(scratch.directory).catch(() => []);
  }

  async function rowsOf(results: JobResults, kind: Parameters<JobResults['rows']>[0]) {
    const batches: number[] = [];
    const rows: Record<string, string>[] = [];
    for await (const batch of results.rows(kind, 40, NEVER)) {
      batches.push(batch.length);
      rows.push(...batch);
    }
    return { batches, rows };
  }

  it('are read out in batches, failed rows with their key, and counted by error code', async () => {
    const job = await endedJob(100);
    const results = await download(job);
    const { succeeded, failed, unprocessed } = results.counts;
    assert.deepEqual([succeeded, failed, unprocessed], [90, 10, 0]);
    assert.equal(downloads(), 3);
    const successes = await rowsOf(results, 'successfulResults');
    assert.deepEqual(successes.batches, [40, 40, 10]);
    assert.deepEqual(Object.keys(successes.rows[0] ?? {}), ['sf__Id', 'sf__Created', 'Key__c']);
    const failures = await rowsOf(results, 'failedResults');
    assert.ok(failures.rows.every(({ sf__Key = '' }) => sf__Key.startsWith(`${job.id}-`)));
    assert.equal(new Set(failures.rows.map(({ sf__Key }) => sf__Key)).size, 10);
    assert.deepEqual([...results.counts.errorCodes], [['FIELD_CUSTOM_VALIDATION_EXCEPTION', 10]]);
    assert.deepEqual((await rowsOf(results, 'unprocessedrecords')).batches, []);
    await results.remove();
    assert.deepEqual(await leftBehind(), []);
  });

  it('count no more than 200 error codes apart, and a text without one as NO_CODE', async () => {
    const job = await endedJob(2050);
    const errors = ['no code in it', ...Array.from({ length: 204 }, (_, at) => `CODE_${at}:x:--`)];
    const lines = errors.map((error, at) => `"","${error}","k-${at}"`);
    org.faults.add({
      ...{
        path: /failedResults/,
        kind: 'status',
        status: 200,
        headers: { 'content-type': 'text/csv' },
        times: 1,
      },
      body: `"sf__Id","sf__Error","Key__c"\n${lines.join('\n')}\n`,
    });
    const results = await download(job);
    await results.countErrorCodes(NEVER);
    const { errorCodes } = results.counts;
    assert.deepEqual(
      [errorCodes.size, errorCodes.get('NO_CODE'), errorCodes.get('CODE_0'), errorCodes.get('MORE_CODES')],
      [201, 1, 1, 5],
    );
    await results.remove();
  });

  it('may have no rows: a header, an empty body, or 204', async () => {
    const header = await download(await endedJob(5));
    assert.deepEqual([header.records('failedResults'), header.records('unprocessedrecords')], [0, 0]);
    await header.remove();
    for (const status of [200, 204] as const) {
      org.jobFaults.add({ kind: 'results', status, files: ['failedResults', 'unprocessedrecords'] });
      const empty = await download(await endedJob(5));
      assert.deepEqual([empty.records('successfulResults'), empty.records('failedResults')], [5, 0]);
      assert.deepEqual((await rowsOf(empty, 'failedResults')).batches, []);
      await empty.remove();
    }
  });

  it('are downloaded again where they broke off, and only there', async () => {
    const job = await endedJob(100);
    org.faults.add({ path: /failedResults/, kind: 'cut', bytes: 300, times: 2 });
    const results = await download(job);
    assert.equal(results.records('failedResults'), 10);
    assert.equal(org.audit.requests(/successfulResults/).length, 1);
    assert.equal(org.audit.requests(/failedResults/).length, 3);
    await results.remove();
  });

  it('are downloaded again when they do not add up, wherever they ended early', async () => {
    const job = await endedJob(12);
    const whole = await download(job);
    const { bytes } = await ingest.downloadResults(job.id, 'successfulResults', whole.path('failedResults'));
    await whole.remove();
    // The last record is whole without its line end.
    for (let cut = 0; cut < bytes - 1; cut += 13) {
      org.faults.clear();
      org.faults.add({ path: /successfulResults/, kind: 'end-early', bytes: cut, times: 1 });
      const results = await download(job);
      const { rows } = await rowsOf(results, 'successfulResults');
      assert.equal(rows.length, 11, `cut at ${cut}`);
      await results.remove();
    }
  });

  it('that never add up are RESULTS_INCOMPLETE with all counts, after five tries', async () => {
    const job = await endedJob(100);
    org.faults.add({ path: /successfulResults/, kind: 'end-early', bytes: 0 });
    const error = await incomplete(job);
    assert.match(error.message, /0 succeeded, 10 failed, 0 unprocessed/);
    assert.match(error.message, /uploaded 100, Salesforce counts 100 processed, 10 of them failed/);
    assert.match(error.message, /seven days/);
    assert.equal(org.audit.requests(/successfulResults/).length, 5);
  });

  it('that always break off are RESULTS_INCOMPLETE with the reason', async () => {
    const job = await endedJob(100);
    org.faults.add({ path: /successfulResults/, kind: 'cut', bytes: 100 });
    const error = await incomplete(job);
    assert.match(error.message, /could not be downloaded \(.*broke off/);
    assert.match(error.message, /uploaded 100, Salesforce counts 100 processed, 10 of them failed/);
    assert.equal(downloads(), 5);
  });

  it('that are garbled are downloaded again, and then RESULTS_INCOMPLETE with the reason', async () => {
    const job = await endedJob(10);
    const body = `"sf__Id","sf__Error",Key__c\n"${'x'.repeat(UNENDING_RECORD_BYTES + 2 ** 20)}`;
    const garbled = { path: /failedResults/, kind: 'status', status: 200, body } as const;
    org.faults.add({ ...garbled, headers: { 'content-type': 'text/csv' }, times: 1 });
    const results = await download(job);
    assert.equal(results.records('failedResults'), 1);
    await results.remove();
    org.faults.add({ ...garbled, headers: { 'content-type': 'text/csv' } });
    const { message } = await incomplete(job);
    assert.match(message, /could not be downloaded \(.* does not end within/);
  });

  it('want more than the counters: the sum of the files is what was uploaded', async () => {
    const error = await incomplete(await endedJob(100, { records: 101 }));
    assert.match(error.message, /90 succeeded, 10 failed, 0 unprocessed; uploaded 101/);
  });

  it('of a job that failed half-way come in all three files, whatever its counters say', async () => {
    org.jobFaults.add({ kind: 'fail-half' });
    const job = await endedJob(100);
    assert.equal(job.state, 'Failed');
    for (const numberRecordsProcessed of [job.numberRecordsProcessed, 0]) {
      const results = await download({ ...job, numberRecordsProcessed, numberRecordsFailed: 0 });
      const { succeeded, failed, unprocessed } = results.counts;
      assert.deepEqual([succeeded, failed, unprocessed], [45, 5, 50]);
      await results.remove();
    }
  });

  it('of a job that another tool made are checked against its counters', async () => {
    const job = await endedJob(100, { records: 0 });
    const results = await download(job);
    assert.equal(results.counts.succeeded, 90);
    await results.remove();
    org.faults.add({ path: /successfulResults/, kind: 'end-early', bytes: 0 });
    const error = await incomplete(job);
    assert.match(error.message, /uploaded by another tool/);
  });

  it('of a failed job that another tool made hold at least what was counted', async () => {
    org.jobFaults.add({ kind: 'fail-half' });
    const job = await endedJob(100, { records: 0 });
    for (const numberRecordsProcessed of [job.numberRecordsProcessed, 0]) {
      const results = await download({ ...job, numberRecordsProcessed, numberRecordsFailed: 0 });
      assert.equal(results.counts.unprocessed, 50);
      await results.remove();
    }
    org.faults.add({ path: /successfulResults/, kind: 'end-early', bytes: 200 });
    await incomplete(job);
  });

  it('are not asked for before the job has ended', async () => {
    const job = await endedJob(5);
    await assert.rejects(download({ ...job, state: 'InProgress' }), (error) =>
      isLoadError(error, 'CONFIG_INVALID'),
    );
    assert.equal(downloads(), 0);
  });

  it('that Salesforce has no more are BULK_JOB_GONE at once', async () => {
    org.jobFaults.add({ kind: 'vanish', when: 'complete' });
    const { id } = await ingest.create(SPEC);
    const gone = jobFromInfo({ ...(await ingest.info(id)), state: 'JobComplete' });
    await assert.rejects(download({ ...gone, id: `${id.slice(0, 11)}zzzzAAA` }), (error) =>
      isLoadError(error, 'BULK_JOB_GONE'),
    );
    assert.equal(downloads(), 1);
    assert.deepEqual(await leftBehind(), []);
  });

  it('leave nothing behind when somebody stops them between two tries', async () => {
    const job = await endedJob(20);
    const stop = new AbortController();
    org.faults.add({ path: /unprocessedrecords/, kind: 'status', status: 400, body: [{ errorCode: 'X' }] });
    const stopped = assert.rejects(download(job, stop.signal), /enough/);
    await until(() => org.audit.requests(/unprocessedrecords/).length > 0, 'the last file was asked for');
    stop.abort(new Error('enough'));
    await stopped;
    assert.deepEqual(await leftBehind(), []);
  });

  it('that cannot be written to disk are no fault of Salesforce', async () => {
    const job = await endedJob(20);
    org.faults.add({ path: /successfulResults/, kind: 'delay', ms: 150 });
    const failed = assert.rejects(download(job), (error) => {
      assert.ok(isLoadError(error, 'LOAD_BROKEN_OFF'), String(error));
      assert.match(error.message, /could not be written/);
      return true;
    });
    await until(
      async () =>
        await readdir(scratch.directory).then(
          () => true,
          () => false,
        ),
      'it has begun',
    );
    await rm(scratch.directory, { recursive: true });
    await failed;
  });
});
