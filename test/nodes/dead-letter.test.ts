import assert from 'node:assert/strict';
import deadLetter from '../../nodes/dead-letter.ts';
import type { Message } from '../../nodes/shared/red.ts';
import { systemClock } from '../../src/clock.ts';
import { Database } from '../../src/database/pool.ts';
import { LoadError } from '../../src/errors.ts';
import type { Job } from '../../src/job.ts';
import { settlements } from '../../src/load/connection.ts';
import { Settlement } from '../../src/load/settlement.ts';
import { aJob } from '../database/ledger/ledger-samples.ts';
import { handled, nodeHelper, observe } from '../support/node-helper.ts';
import { configOf, type TestDatabase, testDatabase } from '../support/postgres.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { Bench, type BenchOptions } from './support/bench.ts';

const HASH = '0123456789abcdef0123456789abcdef';

function aFailure(jobId: string, number: number, change: object = {}): object {
  return {
    key: `${jobId}-${HASH}-${number}`,
    sfId: '',
    error: 'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --',
    errorCode: 'REQUIRED_FIELD_MISSING',
    errorMessage: 'Required fields are missing: [LastName]',
    errorFields: ['LastName'],
    errorCategory: 'VALIDATION',
    retryable: false,
    rule: 'code REQUIRED_FIELD_MISSING',
    originalData: { External_Id__c: `C-${number}` },
    attempts: [],
    ...change,
  };
}

const JOB = '750ak0000000001AAA';

describe('dead-letter', () => {
  nodeHelper.use();
  let where: TestDatabase;
  let db: Database;
  let table: string;
  let tables = 0;

  before(async () => {
    where = await testDatabase();
    db = new Database(configOf(where));
  });
  after(() => db.close());
  beforeEach(() => {
    tables += 1;
    table = `letters_${tables}`;
  });

  function load(change: object = {}, more: Partial<BenchOptions> = {}): Promise<Bench> {
    return Bench.load({
      database: where,
      modules: [deadLetter],
      nodes: [
        {
          id: 'n',
          type: 'dead-letter',
          database: 'db',
          table,
          createTable: true,
          ...change,
          wires: [['stored?']],
        },
      ],
      ...more,
    });
  }

  /** A node that cannot handle anything, and the Catch node that sees it. */
  async function loadWithCatch(): Promise<Bench> {
    const breaks = nodeHelper.type('breaks', (_RED, node) => {
      node.on('input', (message, _send, done) => done(message.fails as Error));
    });
    return Bench.load({
      database: where,
      modules: [deadLetter, breaks],
      nodes: [
        { id: 'broken', type: 'breaks', name: 'to Contact fields' },
        { id: 'caught', type: 'catch', scope: ['broken'], wires: [['n']] },
        { id: 'n', type: 'dead-letter', database: 'db', table, createTable: true, wires: [['stored?']] },
      ],
    });
  }

  async function rows(columns = '*'): Promise<Record<string, unknown>[]> {
    return (await db.query(`SELECT ${columns} FROM ${table} ORDER BY id`)).rows;
  }

  describe('behind a Catch node', () => {
    async function caught(bench: Bench, ...messages: Message[]): Promise<void> {
      const before = bench.at('stored?').length;
      for (const message of messages) bench.node('broken').receive(message);
      await until(() => bench.at('stored?').length === before + messages.length, 'all are through');
    }

    it('keeps payload, error text, code and source node of a message, once however often it comes', async () => {
      const bench = await loadWithCatch();
      const fails = new LoadError('CONFIG_INVALID', 'object is missing');
      const message = { _msgid: 'm1', payload: { order: 7 }, fails };
      await caught(bench, { ...message });
      await caught(bench, { ...message }, { ...message, payload: { order: 8 } });
      const found = await rows('record_data, error_message, error_code, status, object, key');
      assert.deepEqual(
        found.map(({ key, ...rest }) => rest),
        [7, 8].map((order) => ({
          record_data: { order },
          error_message: 'breaks to Contact fields: LoadError: object is missing',
          error_code: 'CONFIG_INVALID',
          status: 'dead',
          object: null,
        })),
      );
      assert.match(String(found[0]?.key), /^caught-[0-9a-f]{32}$/);
    });

    it('keeps each batch of a sequence, though all have one message id and fail with the same words', async () => {
      const bench = await loadWithCatch();
      const batch = (index: number, payload: object[]) => ({
        _msgid: 'm1',
        payload,
        parts: { id: 's', index, type: 'array', len: payload.length },
        _sequence: { id: 's', index, openedAt: 0 },
        fails: new TypeError('msg.payload.foo is not a function'),
      });
      const batches = [batch(0, [{ n: 1 }, { n: 2 }]), batch(1, [{ n: 3 }]), batch(2, []), batch(3, [])];
      await caught(bench, ...batches);
      await caught(bench, ...batches);
      assert.deepEqual(
        (await rows('record_data')).map(({ record_data }) => JSON.stringify(record_data)).sort(),
        ['[]', '[]', '[{"n":1},{"n":2}]', '[{"n":3}]'],
      );
    });

    it('keeps the failures of a batch that a node behind could not handle one by one, each once', async () => {
      const bench = await loadWithCatch();
      const payload = [aFailure(JOB, 1), aFailure(JOB, 2)];
      const message = {
        payload,
        job: { object: 'Contact', operation: 'insert' },
        fails: new Error('no such column'),
      };
      assert.equal(await handled(bench.node('n'), { ...message }), undefined);
      await until(() => bench.at('stored?').length === 1, 'it is through');
      await caught(bench, message);
      const found = await rows('key, object, error_code');
      assert.deepEqual(
        found,
        [1, 2].map((n) => ({
          key: `${JOB}-${HASH}-${n}`,
          object: 'Contact',
          error_code: 'REQUIRED_FIELD_MISSING',
        })),
      );
    });

    it('keeps whatever a payload is', async () => {
      const bench = await loadWithCatch();
      const itself: Record<string, unknown> = {};
      itself.again = itself;
      const payloads = [
        undefined,
        null,
        'text \0 \ud800',
        42n,
        Buffer.from('bytes'),
        itself,
        [1, [2]],
        false,
      ];
      const fails = 'a text';
      for (const [index, payload] of payloads.entries())
        await caught(bench, { _msgid: `m${index}`, payload, fails });
      const found = (await rows('record_data')).map(({ record_data }) => record_data);
      assert.deepEqual(found.toSpliced(5, 1), [
        null,
        null,
        'text \ufffd \ufffd',
        '42',
        'Ynl0ZXM=',
        [1, [2]],
        false,
      ]);
      assert.match(String(found[5]), /Circular/);
    });
  });

  describe('with failures', () => {
    it('sends the same batch on once it is stored, and says how many were there before', async () => {
      const bench = await load();
      const { statuses } = observe(bench.node('n'));
      const message = {
        payload: [aFailure(JOB, 1), aFailure(JOB, 2)],
        topic: 't',
        parts: { id: 'p', index: 3, type: 'array', len: 2 },
      };
      assert.equal(await handled(bench.node('n'), message), undefined);
      assert.equal(await handled(bench.node('n'), { ...message }), undefined);
      assert.deepEqual(bench.at('stored?')[0], message);
      await until(
        () => statuses.some(({ text }) => text?.includes('2 there before') ?? false),
        'the status says so',
      );
      assert.equal((await rows()).length, 2);
    });

    it('sends a batch of none on, and needs no database for it', async () => {
      const bench = await load({}, { db: { port: 1 } });
      assert.equal(await handled(bench.node('n'), { payload: [] }), undefined);
      await until(() => bench.at('stored?').length === 1, 'it is sent on');
    });

    it('knows the job of each by its key: a join may have put several together, or a function dropped msg.job', async () => {
      const bench = await load();
      const jobs = [
        aJob({
          id: '750ak0000000001AAA',
          object: 'Contact',
          operation: 'upsert',
          externalIdField: 'Key__c',
          runId: 'r1',
        }),
        aJob({
          id: '750ak0000000002AAA',
          object: 'Account',
          operation: 'insert',
          externalIdField: null,
          runId: 'r2',
        }),
      ];
      const open = jobs.map((job) => {
        const counts = { succeeded: 0, failed: 1, unprocessed: 0, errorCodes: new Map() };
        const settlement = new Settlement(job, counts, {
          batchSize: 10,
          clock: systemClock,
          loadName: `load of ${job.object}`,
        });
        settlements.open(settlement);
        return settlement;
      });
      const payload = jobs.map(({ id }, index) => aFailure(id, index + 1));
      assert.equal(await handled(bench.node('n'), { payload, job: jobs[1] as Job }), undefined);
      for (const settlement of open) settlements.close(settlement);
      assert.deepEqual(await rows('job_id, run_id, load_name, object, operation, external_id_field'), [
        {
          job_id: jobs[0]?.id,
          run_id: 'r1',
          load_name: 'load of Contact',
          object: 'Contact',
          operation: 'upsert',
          external_id_field: 'Key__c',
        },
        {
          job_id: jobs[1]?.id,
          run_id: 'r2',
          load_name: 'load of Account',
          object: 'Account',
          operation: 'insert',
          external_id_field: null,
        },
      ]);
      assert.deepEqual(
        open.map(({ deadLettered, accounted }) => [deadLettered, accounted]),
        [
          [1, true],
          [1, true],
        ],
      );
    });

    it('takes what a flow has made of them', async () => {
      const bench = await load();
      const odd = { error: undefined, errorCode: 7, errorCategory: null, retryable: 'yes', attempts: 'none' };
      const job = { id: 15, object: { not: 'a name' }, operation: '', runId: ['r'] };
      assert.equal(await handled(bench.node('n'), { payload: [aFailure('no job', 1, odd)], job }), undefined);
      const [row] = await rows(
        'error_message, error_code, error_category, retryable, attempts, job_id, run_id, object, operation',
      );
      assert.deepEqual(row, {
        error_message: '',
        error_code: null,
        error_category: null,
        retryable: false,
        attempts: [],
        job_id: null,
        run_id: null,
        object: null,
        operation: null,
      });
    });

    it('refuses anything else', async () => {
      const bench = await load();
      for (const payload of [undefined, 'text', [{ Name: 'x' }], [null], { key: 'k' }]) {
        const error = await handled(bench.node('n'), { payload });
        assert.ok(error instanceof LoadError && error.code === 'RECORD_INVALID');
      }
    });
  });

  describe('with a table of the four columns of the MuleSoft flow', () => {
    it('says so at deploy, and keeps at least once', async () => {
      await db.query(
        `CREATE TABLE ${table} (id serial, record_data jsonb, error_message varchar(30), job_id text, created_at timestamp)`,
      );
      const bench = await load();
      await until(() => bench.warnings('n').length > 0, 'it warns');
      assert.match(
        bench.warnings('n')[0] ?? '',
        /four columns of the MuleSoft flow only.*cannot be replayed/,
      );
      for (const _ of [1, 2])
        assert.equal(await handled(bench.node('n'), { payload: [aFailure(JOB, 1)] }), undefined);
      assert.equal(bench.warnings('n').length, 1);
      const found = await rows('record_data, error_message, job_id, created_at IS NOT NULL AS dated');
      const letter = {
        record_data: { External_Id__c: 'C-1' },
        error_message: 'REQUIRED_FIELD_MISSING:Require',
        job_id: JOB,
        dated: true,
      };
      assert.deepEqual(found, [letter, letter]);
    });

    it('keeps caught messages in it, too', async () => {
      await db.query(
        `CREATE TABLE ${table} (id serial, record_data text, error_message text, job_id text, created_at timestamptz)`,
      );
      const bench = await loadWithCatch();
      bench.node('broken').receive({ payload: 'p', fails: new Error('broken') });
      await until(() => bench.at('stored?').length === 1, 'it is through');
      assert.deepEqual(await rows('record_data, error_message, job_id'), [
        { record_data: '"p"', error_message: 'breaks to Contact fields: Error: broken', job_id: null },
      ]);
    });
  });

  describe('without what it needs', () => {
    it('says at deploy that the table is missing and must not be made, and takes it once it is there', async () => {
      const bench = await load({ createTable: false });
      await until(() => bench.warnings('n').length > 0, 'it warns');
      assert.match(bench.warnings('n')[0] ?? '', /The table is not ready: There is no table/);
      const error = await handled(bench.node('n'), { payload: [aFailure(JOB, 1)] });
      assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
      await db.query(
        `CREATE TABLE ${table} (id serial, record_data jsonb, error_message text, job_id text, created_at timestamptz)`,
      );
      assert.equal(await handled(bench.node('n'), { payload: [aFailure(JOB, 1)] }), undefined);
    });

    for (const [what, change, poolSize] of [
      ['no database node', { database: '' }, 4],
      ['a database node that is not there', { database: 'nowhere' }, 4],
      ['a database node without a pool', {}, 0],
      ['a database node whose pool is no number', {}, 'many'],
    ] as const) {
      it(`names what is wrong with ${what}, on each message`, async () => {
        const bench = await load(change, { db: { poolSize } });
        for (const _ of [1, 2]) {
          const error = await handled(bench.node('n'), { payload: [aFailure(JOB, 1)] });
          assert.ok(error instanceof LoadError && error.code === 'CONFIG_INVALID');
          assert.match(error.message, /database|poolSize/);
        }
      });
    }

    it('gets along with the smallest pool, however many batches come at once', async () => {
      const bench = await load({}, { db: { poolSize: 1 } });
      const ends = Array.from({ length: 60 }, (_, n) =>
        handled(bench.node('n'), { payload: [aFailure(JOB, n), aFailure(JOB, n + 1)] }),
      );
      assert.deepEqual([...new Set(await Promise.all(ends))], [undefined]);
      assert.equal((await rows()).length, 61);
    });

    it('waits for a database that is away, says so, and drops nothing', async () => {
      const proxy = await TcpProxy.start(where);
      try {
        proxy.cut();
        const bench = await load({}, { db: { host: '127.0.0.1', port: proxy.port } });
        const { statuses } = observe(bench.node('n'));
        const stored = handled(bench.node('n'), { payload: [aFailure(JOB, 1)] });
        await until(
          () => statuses.some(({ text }) => /database is away/.test(text ?? '')),
          'the status says so',
        );
        assert.match(bench.warnings('n')[0] ?? '', /The table is not ready: PostgreSQL at .* cannot be used/);
        proxy.heal();
        assert.equal(await stored, undefined);
        assert.equal((await rows()).length, 1);
      } finally {
        await proxy.stop();
      }
    });

    it('reports a batch that it still holds when it is deployed anew', async () => {
      const bench = await load({}, { db: { port: 1 } });
      const { statuses } = observe(bench.node('n'));
      const stored = handled(bench.node('n'), { payload: [aFailure(JOB, 1)] });
      await until(() => statuses.some(({ text }) => /database is away/.test(text ?? '')), 'it waits');
      await bench.node('n').close(false);
      assert.match(String(await stored), /stopped or deployed anew/);
      assert.equal(bench.at('stored?').length, 0);
    });
  });
});
