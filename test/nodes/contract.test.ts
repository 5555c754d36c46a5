import assert from 'node:assert/strict';
import deadLetter from '../../nodes/dead-letter.ts';
import deadLetterReplay from '../../nodes/dead-letter-replay.ts';
import sfBulkCreate from '../../nodes/sf-bulk-create.ts';
import sfBulkPoll from '../../nodes/sf-bulk-poll.ts';
import sfBulkResults from '../../nodes/sf-bulk-results.ts';
import sfConnection from '../../nodes/sf-connection.ts';
import sfFailureClassify from '../../nodes/sf-failure-classify.ts';
import sfSingleRetry from '../../nodes/sf-single-retry.ts';
import type { Message, NodeConfig } from '../../nodes/shared/red.ts';
import syncDatabase from '../../nodes/sync-database.ts';
import syncSelect from '../../nodes/sync-select.ts';
import syncWriteback from '../../nodes/sync-writeback.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { Database } from '../../src/database/pool.ts';
import { LoadError } from '../../src/errors.ts';
import { handled, nodeHelper, observe } from '../support/node-helper.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const MODULES = [
  sfConnection,
  syncDatabase,
  syncSelect,
  sfBulkCreate,
  sfBulkPoll,
  sfBulkResults,
  sfFailureClassify,
  sfSingleRetry,
  deadLetter,
  deadLetterReplay,
  syncWriteback,
];

interface Contract {
  type: string;
  /** Properties that make it work; `c` is the connection, `d` the database. */
  config: Record<string, unknown>;
  outputs: number;
  /** A property of text, to be left as an unset variable. */
  property: string;
  /** The config node that it cannot do without. */
  needs: 'connection' | 'database' | undefined;
  message: () => Promise<Message> | Message;
  /** A message that it cannot take, and the code of its error; undefined: it takes any. */
  bad?: { message: Message; code: string };
}

const FAILURE = {
  key: '750ak0000000001AAA-0123456789abcdef0123456789abcdef-1',
  sfId: '',
  error: 'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --',
  errorCode: 'REQUIRED_FIELD_MISSING',
  errorMessage: 'Required fields are missing: [LastName]',
  errorFields: ['LastName'],
  errorCategory: 'VALIDATION',
  retryable: false,
  rule: 'code REQUIRED_FIELD_MISSING',
  originalData: { id: '1', Email: 'a@example.com' },
  attempts: [],
};

describe('every node', () => {
  nodeHelper.use();
  let org: Org;
  let where: TestDatabase;
  let db: Database;

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
    where = await testDatabase();
    db = new Database(configOf(where));
    await db.query('CREATE TABLE source (id bigint PRIMARY KEY, status text)');
    await db.query("INSERT INTO source VALUES (1, 'READY')");
  });
  after(async () => {
    await db.close();
    await org.close();
  });

  /** A finished job of one record, made by another tool. */
  async function finishedJob(): Promise<string> {
    const { id } = await call<{ id: string }>('POST', '/jobs/ingest', {
      object: 'Load_Test__c',
      operation: 'insert',
      lineEnding: 'LF',
    });
    await call('PUT', `/jobs/ingest/${id}/batches`, 'Name,Key__c\nOne,k1\n');
    await call('PATCH', `/jobs/ingest/${id}`, { state: 'UploadComplete' });
    await until(
      async () => (await call<{ state: string }>('GET', `/jobs/ingest/${id}`)).state === 'JobComplete',
      'the job has ended',
    );
    return id;
  }

  async function call<T>(method: string, path: string, body?: object | string): Promise<T> {
    const { clientId, clientSecret } = org.credentials;
    const login = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
    });
    const token = (await (
      await fetch(`${org.url}/services/oauth2/token`, { method: 'POST', body: login })
    ).json()) as {
      access_token: string;
    };
    const type = typeof body === 'string' ? 'text/csv' : 'application/json';
    const answer = await fetch(`${org.url}/services/data/v66.0${path}`, {
      method,
      headers: { authorization: `Bearer ${token.access_token}`, 'content-type': type },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return (text === '' ? {} : JSON.parse(text)) as T;
  }

  const sequence = { maxInFlight: 4, onError: 'stop', stuckAfter: 600 };
  const contracts: Contract[] = [
    {
      type: 'sync-select',
      config: {
        database: 'd',
        sql: 'SELECT id FROM source',
        params: '[]',
        paramsType: 'json',
        batchSize: 10,
        ...sequence,
        lane: 'records',
      },
      outputs: 1,
      property: 'sql',
      needs: 'database',
      message: () => ({ payload: 1 }),
    },
    {
      type: 'sf-bulk-create',
      config: {
        connection: 'c',
        object: 'Load_Test__c',
        operation: 'insert',
        mapping: [],
        maxRecordsPerJob: 0,
        maxMegabytesPerJob: 100,
      },
      outputs: 3,
      property: 'object',
      needs: 'connection',
      message: () => ({ payload: [{ Name: 'One', Key__c: 'k1' }] }),
      bad: { message: { payload: 42 }, code: 'RECORD_INVALID' },
    },
    {
      type: 'sf-bulk-poll',
      config: {
        connection: 'c',
        interval: 0.1,
        maxInterval: 1,
        timeout: 0,
        stallTimeout: 600,
        onTimeout: 'error',
      },
      outputs: 2,
      property: 'interval',
      needs: 'connection',
      message: async () => ({ payload: await finishedJob() }),
      bad: { message: { payload: 'no job' }, code: 'CONFIG_INVALID' },
    },
    {
      type: 'sf-bulk-results',
      config: { connection: 'c', batchSize: 10, ...sequence, settleWhen: 'accounted', lane: 'records' },
      outputs: 4,
      property: 'batchSize',
      needs: 'connection',
      message: async () => ({ payload: await finishedJob() }),
      bad: { message: { payload: '750ak0000000999AAA' }, code: 'BULK_JOB_GONE' },
    },
    {
      type: 'sf-failure-classify',
      config: { ruleSet: 'complete', rules: [] },
      outputs: 2,
      property: 'ruleSet',
      needs: undefined,
      message: () => ({
        payload: [{ sf__Id: '', sf__Error: FAILURE.error, sf__Key: FAILURE.key, Email: 'a@example.com' }],
      }),
      bad: { message: { payload: [{ Name: 'no failed row' }] }, code: 'RECORD_INVALID' },
    },
    {
      type: 'sf-single-retry',
      config: { connection: 'c', mode: 'auto', maxAttempts: 3, backoff: 0, concurrency: 1 },
      outputs: 2,
      property: 'mode',
      needs: 'connection',
      message: async () => {
        const id = await finishedJob();
        return { payload: [{ ...FAILURE, key: FAILURE.key.replace(/^\w+/, id) }], job: { id } };
      },
      bad: { message: { payload: [{ Name: 'no failure' }] }, code: 'RECORD_INVALID' },
    },
    {
      type: 'dead-letter',
      config: { database: 'd', table: 'sf_sync_dead_letter', createTable: true },
      outputs: 1,
      property: 'table',
      needs: 'database',
      message: () => ({ payload: [FAILURE] }),
      bad: { message: { payload: [{ Name: 'no failure' }] }, code: 'RECORD_INVALID' },
    },
    {
      type: 'dead-letter-replay',
      config: {
        database: 'd',
        table: 'sf_sync_dead_letter',
        limit: '',
        limitType: 'num',
        batchSize: 10,
        maxInFlight: 4,
      },
      outputs: 1,
      property: 'table',
      needs: 'database',
      message: () => ({ payload: 1 }),
    },
    {
      type: 'sync-writeback',
      config: {
        database: 'd',
        table: 'source',
        keyColumn: 'id',
        keyField: 'id',
        set: [{ column: 'status', value: 'DONE', valueType: 'str' }],
      },
      outputs: 1,
      property: 'table',
      needs: 'database',
      message: () => ({ payload: [{ id: '1' }] }),
      bad: { message: { payload: 'text' }, code: 'RECORD_INVALID' },
    },
  ];

  async function load(
    { type, config, outputs }: Contract,
    change: Record<string, unknown> = {},
    secrets: object = {},
  ): Promise<Message[][]> {
    const received: Message[][] = Array.from({ length: outputs }, () => []);
    const sink = nodeHelper.type('sink', (_RED, node, { output }: NodeConfig) => {
      node.on('input', (message, _send, done) => {
        received[Number(output)]?.push(message);
        done();
      });
    });
    const place = { z: 'tab', x: 0, y: 0 };
    const sinks = received.map((_, output) => ({
      id: `sink${output}`,
      type: 'sink',
      output,
      ...place,
      wires: [],
    }));
    const flow = [
      { id: 'tab', type: 'tab' },
      {
        id: 'c',
        type: 'sf-connection',
        authFlow: 'client-credentials',
        loginUrl: org.url,
        apiVersion: '66.0',
        ledger: 'd',
      },
      {
        id: 'd',
        type: 'sync-database',
        host: where.host,
        port: where.port,
        database: where.database,
        ssl: 'disable',
        poolSize: 4,
      },
      { id: 'n', type, ...place, ...config, ...change, wires: sinks.map(({ id }) => [id]) },
      ...sinks,
    ];
    const { clientId, clientSecret } = org.credentials;
    await nodeHelper.load([...MODULES, sink], flow, {
      c: { clientId, clientSecret },
      d: { user: where.user, password: where.password },
      ...secrets,
    });
    return received;
  }

  for (const contract of contracts) {
    describe(contract.type, () => {
      it('ends a message it can take once, without an error, and carries its properties through', async () => {
        const received = await load(contract);
        const node = nodeHelper.node('n');
        const { ends } = observe(node);
        const message = { _msgid: 'm1', topic: 'carried', ...(await contract.message()) };
        assert.equal(await handled(node, message), undefined);
        await until(() => received.flat().length > 0, 'something came out');
        assert.equal(ends.length, 1);
        for (const out of received.flat()) {
          assert.equal(out.topic, 'carried');
          assert.equal(out._msgid, 'm1');
        }
      });

      it('says which property names a variable that is not set', async () => {
        await load(contract, { [contract.property]: '${NOT_SET_ANYWHERE}' });
        const node = nodeHelper.node('n');
        const { statuses } = observe(node);
        const error = await handled(node, { ...(await contract.message()) });
        assert.ok(error instanceof LoadError);
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.match(error.message, new RegExp(`${contract.property}.*NOT_SET_ANYWHERE`));
        await until(() => statuses.some(({ fill }) => fill === 'red'), 'its status is red');
      });

      if (contract.needs) {
        it('says that its configuration node is missing, on each message, and keeps Node-RED running', async () => {
          await load(contract, { [String(contract.needs)]: 'nowhere' });
          const node = nodeHelper.node('n');
          for (const _ of [1, 2]) {
            const error = await handled(node, { ...(await contract.message()) });
            assert.ok(error instanceof LoadError);
            assert.equal(error.code, 'CONFIG_INVALID');
          }
        });

        it('says that a credential is missing', async () => {
          await load(contract, {}, contract.needs === 'connection' ? { c: { clientId: 'only' } } : { d: {} });
          const error = await handled(nodeHelper.node('n'), { ...(await contract.message()) });
          assert.ok(error instanceof LoadError);
          assert.equal(error.code, 'CONFIG_INVALID');
          assert.match(error.message, /clientSecret|user/);
        });
      }

      const { bad } = contract;
      if (bad) {
        it(`ends a message it cannot take once, with ${bad.code}`, async () => {
          await load(contract);
          const node = nodeHelper.node('n');
          const { ends } = observe(node);
          const error = await handled(node, { ...bad.message });
          assert.ok(error instanceof LoadError);
          assert.equal(error.code, bad.code);
          assert.equal(ends.length, 1);
        });
      }

      it('closes in less than a second', async () => {
        await load(contract);
        const before = Date.now();
        await nodeHelper.node('n').close(false);
        assert.ok(Date.now() - before < 1000);
      });
    });
  }
});
