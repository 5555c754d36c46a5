import assert from 'node:assert/strict';
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sfBulkCreate from '../../nodes/sf-bulk-create.ts';
import type { Message } from '../../nodes/shared/red.ts';
import { endSequence, registerSequence } from '../../nodes/shared/sequence-registry.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { type ErrorCode, isLoadError, type LoadError } from '../../src/errors.ts';
import type { Failure } from '../../src/failure.ts';
import type { Job } from '../../src/job.ts';
import type { Receipt } from '../../src/receipt.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';

describe('sf-bulk-create', () => {
  nodeHelper.use();
  let org: Org;
  let where: TestDatabase;
  let folder: string;
  let loads = 0;

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
    where = await testDatabase();
    folder = await mkdtemp(join(tmpdir(), 'create-test-'));
  });
  after(async () => {
    await rm(folder, { recursive: true });
    await org.close();
  });

  /** A load of its own for each test. */
  function load(change: object = {}): Promise<Bench> {
    loads += 1;
    const node = {
      id: 'n',
      type: 'sf-bulk-create',
      connection: 'sf',
      loadName: `load ${loads}`,
      object: 'Load_Test__c',
      operation: 'insert',
      mapping: [],
      maxRecordsPerJob: 0,
      maxMegabytesPerJob: 100,
      wires: [['jobs?'], ['rejected?'], ['receipts?']],
    };
    return Bench.load({ org, database: where, modules: [sfBulkCreate], nodes: [{ ...node, ...change }] });
  }

  async function refused(bench: Bench, message: Message, code: ErrorCode): Promise<LoadError> {
    const error = await handled(bench.node('n'), message);
    assert.ok(isLoadError(error, code), String(error));
    return error;
  }

  async function file(name: string, content: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, content);
    return path;
  }

  const jobs = (bench: Bench) => bench.at('jobs?').map(({ job }) => job as Job);

  describe('msg.filename', () => {
    it('loads a CSV file', async () => {
      const bench = await load();
      const filename = await file('rows.csv', 'Name,Key__c\nOne,k1\nTwo,k2\n');
      assert.equal(await handled(bench.node('n'), { payload: 1, filename }), undefined);
      await until(() => jobs(bench).length === 1, 'the job is closed');
      assert.equal(jobs(bench)[0]?.records, 2);
    });

    it('of a file that is not there is RECORD_INVALID, names it, and leaves Node-RED and the load as they were', async () => {
      const bench = await load();
      const filename = join(folder, 'nowhere.csv');
      const { message } = await refused(bench, { payload: 1, filename }, 'RECORD_INVALID');
      assert.ok(message.includes(filename), message);
      assert.match(message, /ENOENT.*Check the path/);
      assert.equal(await handled(bench.node('n'), { payload: [{ Name: 'One' }] }), undefined);
    });

    it('of what is no file is RECORD_INVALID', async () => {
      const { message } = await refused(await load(), { filename: folder }, 'RECORD_INVALID');
      assert.match(message, /EISDIR/);
    });

    it('stays closed when its run is refused', async () => {
      const bench = await load();
      const filename = await file('refused.csv', 'Name\nOne\n');
      const first = handled(bench.node('n'), { payload: [{ Name: 'One' }], parts: { id: 'one', index: 0 } });
      await refused(bench, { payload: 1, filename }, 'LOAD_ALREADY_RUNNING');
      // One that is opened at once is open a moment later.
      for (let turn = 0; turn < 50; turn += 1) {
        assert.equal((await openFiles()).includes(filename), false);
      }
      const last = { payload: [{ Name: 'Two' }], parts: { id: 'one', index: 1, count: 2 } };
      assert.equal(await handled(bench.node('n'), last), undefined);
      assert.equal(await first, undefined);
    });

    it('is closed when its rows are in a job', async () => {
      const bench = await load();
      const filename = await file('done.csv', 'Name\nOne\n');
      assert.equal(await handled(bench.node('n'), { filename }), undefined);
      assert.equal((await openFiles()).includes(filename), false);
    });
  });

  describe('a batch with something in it that is no record', () => {
    const strangers = [null, 'text', 42, ['a'], Buffer.from('a'), undefined];

    it('loads the records, and gives the rest to output 2, each as RECORD_INVALID', async () => {
      const bench = await load();
      const payload = [{ Name: 'One' }, ...strangers, { Name: 'Two', Key__c: 'k2' }];
      assert.equal(await handled(bench.node('n'), { payload }), undefined);
      await until(() => jobs(bench).length === 2 && bench.at('rejected?').length === 1, 'all of it has left');
      assert.deepEqual(
        jobs(bench).map(({ columns, records }) => [columns, records]),
        [
          [['Name'], 1],
          [['Name', 'Key__c'], 1],
        ],
      );
      const failures = bench.at('rejected?').flatMap((message) => message.payload as Failure[]);
      assert.deepEqual(
        failures.map(({ errorCode, originalData }) => [errorCode, originalData]),
        strangers.map((_value) => ['RECORD_INVALID', { _value }]),
      );
    });

    it('throws when none is a record: then it is wired wrongly', async () => {
      const { message } = await refused(await load(), { payload: [null, 'text'] }, 'RECORD_INVALID');
      assert.match(message, /msg\.payload\[0\] is missing; it must be a record/);
    });
  });

  describe('msg.job of records that go where they came from', () => {
    const CONTACTS = { object: 'Contact', externalIdField: 'External_Id__c' };

    const NAMED = { Name: 'One' };
    const PERSON = { LastName: 'One' };

    for (const [what, record, job, expected] of [
      [
        'an object without an external id has none',
        NAMED,
        { object: 'Load_Test__c', externalIdField: null },
        null,
      ],
      ['no object leaves the external id of the node', PERSON, { externalIdField: null }, 'External_Id__c'],
      ['an object alone leaves the external id of the node', PERSON, { object: 'Contact' }, 'External_Id__c'],
      ['its external id wins', NAMED, { object: 'Load_Test__c', externalIdField: 'Key__c' }, 'Key__c'],
    ] as const) {
      it(what, async () => {
        const bench = await load(CONTACTS);
        assert.equal(await handled(bench.node('n'), { payload: [record], job }), undefined);
        await until(() => jobs(bench).length === 1, 'the job is closed');
        assert.equal(jobs(bench)[0]?.externalIdField, expected);
      });
    }

    it('an upsert without one is done by that of the node', async () => {
      const bench = await load(CONTACTS);
      const payload = [{ LastName: 'One', External_Id__c: 'x1' }];
      const job = { object: 'Contact', operation: 'upsert', externalIdField: null };
      assert.equal(await handled(bench.node('n'), { payload, job }), undefined);
      await until(() => jobs(bench).length === 1, 'the job is closed');
      assert.equal(jobs(bench)[0]?.externalIdField, 'External_Id__c');
    });
  });

  describe('msg.reset', () => {
    const receipts = (bench: Bench) => bench.at('receipts?').map(({ payload }) => payload as Receipt);
    const part = (index: number, more: object = {}) => ({ id: 'one', index, ...more });
    const reset = (bench: Bench) => handled(bench.node('n'), { payload: Date.now(), reset: true });

    it('breaks off what is being loaded: whoever waits is told, and nothing of it is loaded', async () => {
      const bench = await load();
      const stored = () => [...org.records('Load_Test__c')].length;
      const before = stored();
      const first = handled(bench.node('n'), { payload: [{ Name: 'One' }], parts: part(0) });
      const second = handled(bench.node('n'), { payload: [{ Name: 'Two' }], parts: part(1) });
      assert.equal(await reset(bench), undefined);
      for (const error of await Promise.all([first, second])) {
        assert.ok(isLoadError(error, 'LOAD_BROKEN_OFF'), String(error));
        assert.match(error.message, /^Load "load \d+" was broken off by a message with msg\.reset\./);
      }
      await until(() => receipts(bench).length === 1, 'the run has its receipt');
      assert.deepEqual([receipts(bench)[0]?.complete, receipts(bench)[0]?.uploaded], [false, 0]);
      const late = { payload: [{ Name: 'Three' }], parts: part(2, { count: 3 }) };
      await refused(bench, late, 'LOAD_BROKEN_OFF');
      assert.equal(stored(), before);
      assert.equal(
        await handled(bench.node('n'), { payload: [{ Name: 'Four' }] }),
        undefined,
        'another run begins',
      );
    });

    it('leaves closed jobs to those who carry them on', async () => {
      const bench = await load({ maxRecordsPerJob: 1 });
      const payload = [{ Name: 'One' }, { Name: 'Two' }];
      const taken = handled(bench.node('n'), { payload, parts: part(0) });
      await until(() => jobs(bench).length === 1, 'a job is closed');
      assert.equal(await reset(bench), undefined);
      assert.ok(isLoadError(await taken, 'LOAD_BROKEN_OFF'));
      await refused(bench, { payload: [{ Name: 'Three' }] }, 'LOAD_UNSETTLED');
      await until(() => jobs(bench).length > 1, 'it is sent again, as at any trigger');
      const [first, again, ...more] = jobs(bench).map(({ id }) => id);
      assert.equal(again, first);
      assert.deepEqual(more, []);
      assert.deepEqual(org.audit.jobsByState().Open ?? 0, 0);
    });

    it('tells the next batch of a tracked sequence, once', async () => {
      const bench = await load();
      const openedAt = Date.now();
      const batch = (index: number) => ({
        payload: [{ Name: 'One' }],
        _sequence: { id: 'tracked', index, openedAt },
      });
      registerSequence('tracked');
      try {
        assert.equal(await handled(bench.node('n'), batch(0)), undefined);
        assert.equal(await reset(bench), undefined);
        await refused(bench, batch(1), 'LOAD_BROKEN_OFF');
        assert.equal(await handled(bench.node('n'), batch(2)), undefined);
      } finally {
        endSequence('tracked', { state: 'broken-off', error: undefined }, () => {});
      }
    });

    for (const value of [false, '', undefined])
      it(`that is ${JSON.stringify(value)} is none: the rows are loaded`, async () => {
        const bench = await load();
        assert.equal(await handled(bench.node('n'), { payload: [{ Name: 'One' }], reset: value }), undefined);
        await until(() => jobs(bench).length === 1, 'the job is closed');
      });

    for (const [what, rows] of [
      ['records', { payload: [{ Name: 'Two' }] }],
      ['CSV text', { payload: 'Name\nTwo\n' }],
      ['a Buffer', { payload: Buffer.from('Name\nTwo\n') }],
      ['a file', { payload: 1, filename: 'rows.csv' }],
    ] as const)
      it(`beside ${what} is RECORD_INVALID: it breaks nothing off, and drops no row without a word`, async () => {
        const bench = await load();
        const first = handled(bench.node('n'), { payload: [{ Name: 'One' }], parts: part(0) });
        const { message } = await refused(bench, { ...rows, reset: true }, 'RECORD_INVALID');
        assert.match(message, /msg\.reset .*rows/);
        const last = { payload: [{ Name: 'Three' }], parts: part(1, { count: 2 }) };
        assert.equal(await handled(bench.node('n'), last), undefined);
        assert.equal(await first, undefined);
        assert.equal(jobs(bench)[0]?.records, 2);
      });

    it('beside a text that is no CSV is one', async () => {
      const bench = await load();
      const first = handled(bench.node('n'), { payload: [{ Name: 'One' }], parts: part(0) });
      const message = { payload: 'reset', filename: 'rows.csv', reset: true };
      assert.equal(await handled(bench.node('n'), message), undefined);
      assert.ok(isLoadError(await first, 'LOAD_BROKEN_OFF'));
    });

    it('does nothing when nothing is being loaded', async () => {
      const bench = await load();
      assert.equal(await reset(bench), undefined);
      assert.equal(await handled(bench.node('n'), { payload: [{ Name: 'One' }] }), undefined);
      await until(() => jobs(bench).length === 1, 'the job is closed');
      assert.equal(await reset(bench), undefined);
      assert.equal(receipts(bench).length, 0);
    });
  });
});

async function openFiles(): Promise<string[]> {
  const links = await readdir('/proc/self/fd');
  return Promise.all(links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
}
