import assert from 'node:assert/strict';
import sfBulkCreate from '../../nodes/sf-bulk-create.ts';
import sfSingleRetry from '../../nodes/sf-single-retry.ts';
import type { Message } from '../../nodes/shared/red.ts';
import { endSequence, registerSequence } from '../../nodes/shared/sequence-registry.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { LoadError } from '../../src/errors.ts';
import type { Failure, RetriedRecord } from '../../src/failure.ts';
import { createClassifier } from '../../src/failures/classify.ts';
import type { Job, Operation } from '../../src/job.ts';
import type { SalesforceConnection } from '../../src/load/connection.ts';
import { failureOf } from '../failures/support/world.ts';
import { connectTo } from '../support/loads.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

const classifier = createClassifier({ ruleSet: 'complete' });
const PERMANENT = 'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --';

describe('sf-single-retry', () => {
  nodeHelper.use();
  let org: Org;
  let connection: SalesforceConnection;

  before(async () => {
    org = await startOrg();
    connection = connectTo(org);
  });
  after(async () => {
    await connection.close();
    await org.close();
  });

  const load = (mode = 'auto'): Promise<Bench> =>
    Bench.load({
      org,
      ledger: '',
      modules: [sfSingleRetry],
      nodes: [
        {
          id: 'n',
          type: 'sf-single-retry',
          connection: 'sf',
          mode,
          maxAttempts: 3,
          backoff: 0,
          concurrency: 1,
          wires: [['healed?'], ['failed?']],
        },
      ],
    });

  /** A job of another tool: nobody here knows more of it than its id. */
  async function aJob(object = 'Contact', operation: Operation = 'insert'): Promise<string> {
    const { id } = await connection.ingest.create({
      object,
      operation,
      externalIdField: null,
      columnDelimiter: 'COMMA',
      lineEnding: 'LF',
      assignmentRuleId: null,
    });
    return id;
  }

  const aFailure = (jobId: string, n: number, name: string, error?: string): Failure =>
    failureOf(classifier, `${jobId}-0123456789abcdef0123456789abcdef-${n}`, { LastName: name }, error);

  const names = (messages: Message[]) =>
    messages
      .flatMap(({ payload }) => payload as (Failure | RetriedRecord)[])
      .map(({ originalData }) => originalData.LastName);

  const recordCalls = () => org.audit.requests(/\/(?:sobjects\/Contact\/?$|composite)/, 'POST').length;

  async function retried(bench: Bench, message: Message): Promise<void> {
    assert.equal(await handled(bench.node('n'), message), undefined);
    await until(
      () => bench.at('healed?').length === 1 && bench.at('failed?').length === 1,
      'both outputs are closed',
    );
  }

  it('finds the job by the keys of the failures when msg.job is missing', async () => {
    const bench = await load();
    const id = await aJob();
    await retried(bench, {
      topic: 'carried',
      payload: [aFailure(id, 1, 'Key One'), aFailure(id, 2, 'Key Two')],
    });
    assert.deepEqual(names(bench.at('healed?')), ['Key One', 'Key Two']);
    assert.equal(bench.at('healed?')[0]?.topic, 'carried');
    assert.deepEqual(names(bench.at('failed?')), []);
    assert.equal(
      [...org.records('Contact')].filter(({ LastName }) => String(LastName).startsWith('Key ')).length,
      2,
    );
  });

  it('sends the failures of several jobs in one batch each to its own object', async () => {
    const bench = await load();
    const [contacts, leads] = [await aJob('Contact'), await aJob('Lead')];
    const lead = aFailure(leads, 1, 'Joined Lead');
    lead.originalData.Company = 'Acme';
    await retried(bench, { payload: [aFailure(contacts, 1, 'Joined Contact'), lead], job: { id: contacts } });
    assert.deepEqual(names(bench.at('healed?')), ['Joined Contact', 'Joined Lead']);
    assert.ok([...org.records('Lead')].some(({ LastName }) => LastName === 'Joined Lead'));
  });

  it('spends no call on what is permanent, nor on a hardDelete', async () => {
    const before = recordCalls();
    const bench = await load();
    const [inserts, deletes] = [await aJob(), await aJob('Contact', 'hardDelete')];
    await retried(bench, {
      payload: [aFailure(inserts, 1, 'No name', PERMANENT), aFailure(deletes, 1, 'Deleted')],
    });
    assert.deepEqual(names(bench.at('failed?')), ['No name', 'Deleted']);
    assert.equal(recordCalls(), before);
  });

  it('closes both outputs for a batch of none', async () => {
    await retried(await load(), { payload: [] });
  });

  describe('in the middle of a batch refused for good', () => {
    afterEach(() => org.faults.clear());

    /** Of the inserts of contacts from now on, the one of that number meets a user who has lost his right to the API. */
    const lockOutAt = (nth: number) =>
      org.faults.add({
        ...{ path: /sobjects\/Contact\/?$/, method: 'POST', nth, times: 1 },
        ...{ kind: 'status', status: 403, body: [{ errorCode: 'API_DISABLED_FOR_ORG', message: 'x' }] },
      });
    const partsOf = (messages: Message[]) =>
      messages.map(({ parts }) => {
        const { index, len, count } = parts as Record<string, unknown>;
        return [index, len, count];
      });

    it('sends what was stored, and leaves the rest to a Catch node', async () => {
      const bench = await load('individual');
      const id = await aJob();
      const message: Message = { payload: [1, 2, 3].map((n) => aFailure(id, n, `Half ${n}`)) };
      const failures = [...(message.payload as Failure[])];
      lockOutAt(2);
      const error = await handled(bench.node('n'), message);
      assert.ok(error instanceof LoadError && error.code === 'SF_REQUEST_FAILED', String(error));
      await until(() => bench.at('failed?').length === 1, 'both outputs are closed');
      assert.deepEqual(names(bench.at('healed?')), ['Half 1']);
      assert.deepEqual(names(bench.at('failed?')), []);
      assert.deepEqual(message.payload, failures.slice(1));

      await handled(bench.node('n'), { payload: failures });
      await until(() => bench.at('failed?').length === 2, 'both outputs are closed again');
      assert.deepEqual(names(bench.at('healed?').slice(1)), ['Half 1', 'Half 2', 'Half 3']);
      const stored = [...org.records('Contact')].filter(({ LastName }) => /^Half/.test(String(LastName)));
      assert.equal(stored.length, 3);
    });

    it('sends what the jobs before brought, and leaves those behind to a Catch node', async () => {
      const bench = await load('individual');
      const ids = [await aJob(), await aJob(), await aJob()];
      const message: Message = {
        payload: ids.flatMap((id, at) => [1, 2].map((n) => aFailure(id, n, `Job ${at} ${n}`))),
      };
      lockOutAt(4);
      assert.ok(await handled(bench.node('n'), message));
      await until(() => bench.at('failed?').length === 1, 'both outputs are closed');
      assert.deepEqual(names(bench.at('healed?')), ['Job 0 1', 'Job 0 2', 'Job 1 1']);
      assert.deepEqual(names([message]), ['Job 1 2', 'Job 2 1', 'Job 2 2']);
    });

    it('numbers both outputs right, and closes them once', async () => {
      const bench = await load('individual');
      const id = await aJob();
      const batch = (index: number, count?: number): Message => ({
        payload: [1, 2].map((n) => aFailure(id, index * 10 + n, `Part ${index} ${n}`)),
        parts: { id: 'sequence', type: 'array', index, len: 2, ...(count === undefined ? {} : { count }) },
      });
      const broken = batch(1);
      assert.equal(await handled(bench.node('n'), batch(0)), undefined);
      lockOutAt(2);
      assert.ok(await handled(bench.node('n'), broken));
      assert.equal(await handled(bench.node('n'), batch(2, 3)), undefined);
      await until(() => bench.at('failed?').length === 1, 'both outputs are closed');
      assert.deepEqual(partsOf(bench.at('healed?')), [
        [0, 2, undefined],
        [1, 1, undefined],
        [2, 2, 3],
      ]);
      assert.deepEqual(partsOf(bench.at('failed?')), [[0, 0, 1]]);
      assert.deepEqual(partsOf([broken]), [[1, 1, undefined]]);
    });

    it('reports the error also when nothing is left', async () => {
      const bench = await load('individual');
      const id = await aJob();
      const failure = aFailure(id, 1, 'Lost Answer');
      failure.originalData.External_Id__c = 'lost';
      const job = await connection.findJob(id, AbortSignal.timeout(5_000));
      const message: Message = { payload: [failure], job: { ...job, externalIdField: 'External_Id__c' } };
      org.faults.add({ path: /Contact\/?$/, method: 'POST', times: 1, kind: 'drop-after' });
      org.faults.add({
        path: /query/,
        kind: 'status',
        status: 400,
        body: [{ errorCode: 'X', message: 'x' }],
      });
      assert.ok(await handled(bench.node('n'), message));
      await until(() => bench.at('failed?').length === 1, 'both outputs are closed');
      const failed = bench.at('failed?').flatMap(({ payload }) => payload as Failure[]);
      assert.deepEqual(
        failed.map(({ errorCode }) => errorCode),
        ['IN_DOUBT'],
      );
      assert.deepEqual(message.payload, []);
    });
  });

  it('sends nothing of a batch whose sender has stopped: the job is read again', async () => {
    const create = { object: 'Contact', operation: 'insert', loadName: 'stopped', mapping: [] };
    const bench = await Bench.load({
      org,
      ledger: '',
      modules: [sfSingleRetry, sfBulkCreate],
      nodes: [
        { id: 'c', type: 'sf-bulk-create', connection: 'sf', ...create, wires: [['job?'], [], []] },
        { id: 'n', type: 'sf-single-retry', connection: 'sf', wires: [['healed?'], ['failed?']] },
      ],
    });
    bench.node('c').receive({ payload: [{ LastName: 'Stopped' }] });
    await until(() => bench.at('job?').length > 0, 'the load has a job');
    const [{ job } = {}] = bench.at('job?');
    const { id } = job as Job;
    const before = recordCalls();
    const message = (index: number): Message => ({
      payload: [aFailure(id, index, `Stopped ${index}`)],
      _sequence: { id: 'stopped', index, openedAt: Date.now() },
    });
    registerSequence('stopped');
    assert.equal(await handled(bench.node('n'), message(0)), undefined);
    await until(() => bench.at('healed?').length === 1, 'a batch of an open sequence is sent');
    endSequence('stopped', { state: 'broken-off', error: undefined }, (error) => assert.fail(String(error)));
    assert.equal(await handled(bench.node('n'), message(1)), undefined);
    await until(() => bench.at('failed?').length === 2, 'both outputs are closed');
    assert.deepEqual(names(bench.at('healed?')), ['Stopped 0']);
    assert.deepEqual(names(bench.at('failed?')), []);
    assert.equal(recordCalls(), before + 1);
  });

  for (const [what, key, code] of [
    ['a job that is gone', '750ak0000000999AAA-0123456789abcdef0123456789abcdef-1', 'BULK_JOB_GONE'],
    [
      'no job, as of a record that was refused before the upload',
      '0f8fad5b-d9cb-469f-a165-70867728950e-1',
      'RECORD_INVALID',
    ],
  ] as const) {
    it(`says so for failures of ${what}`, async () => {
      const bench = await load();
      const failure = { ...aFailure('750ak0000000999AAA', 1, 'Nobody'), key };
      const error = await handled(bench.node('n'), { payload: [failure] });
      assert.ok(error instanceof LoadError, String(error));
      assert.equal(error.code, code);
    });
  }
});
