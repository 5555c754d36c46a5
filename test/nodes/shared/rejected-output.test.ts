import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import sfBulkCreate from '../../../nodes/sf-bulk-create.ts';
import type { BatchParts } from '../../../nodes/shared/batches.ts';
import type { Message } from '../../../nodes/shared/red.ts';
import { sequenceMark } from '../../../nodes/shared/sequence-mark.ts';
import { endSequence, registerSequence, sequenceState } from '../../../nodes/shared/sequence-registry.ts';
import { type Org, startOrg } from '../../../sandbox/org/org.ts';
import { isLoadError } from '../../../src/errors.ts';
import type { Failure } from '../../../src/failure.ts';
import type { Receipt } from '../../../src/receipt.ts';
import { handled, nodeHelper } from '../../support/node-helper.ts';
import { until } from '../../support/until.ts';
import { Bench } from '../support/bench.ts';

const MOST_IN_FLIGHT = 4;
const MOST_AT_ONCE = 1000;

/** A node on output 2 has each message until the test says otherwise. */
describe('the rejected records of a CSV', () => {
  nodeHelper.use();
  let org: Org;
  let held: { message: Message; done(error?: Error): void }[];

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
  });
  after(() => org.close());

  const holding = nodeHelper.type('holding', (_RED, node) => {
    node.on('input', (message, _send, done) => held.push({ message, done }));
  });

  const mending = nodeHelper.type('mending', (_RED, node) => {
    node.on('input', (message, send, done) => {
      const payload = rows(message).map(() => ({ Id: 'a0X000000000001AAA', Name: 'mended' }));
      send({ ...message, job: undefined, payload });
      done();
    });
  });

  const create = (id: string, loadName: string, wires: string[][]) => ({
    id,
    type: 'sf-bulk-create',
    connection: 'sf',
    loadName,
    object: 'Load_Test__c',
    operation: 'update',
    mapping: [],
    maxRecordsPerJob: 0,
    maxMegabytesPerJob: 100,
    wires,
  });

  async function load(loadName: string): Promise<Bench> {
    held = [];
    return Bench.load({
      org,
      ledger: '',
      modules: [sfBulkCreate, holding],
      nodes: [
        create('n', loadName, [['jobs?'], ['holding'], ['receipts?']]),
        { id: 'holding', type: 'holding' },
      ],
    });
  }

  /** What it rejects is mended and goes to `to`. */
  function loadMended(loadName: string, to: string): Promise<Bench> {
    return Bench.load({
      org,
      ledger: '',
      modules: [sfBulkCreate, mending],
      nodes: [
        create('n', loadName, [['jobs?'], ['mend'], []]),
        { id: 'mend', type: 'mending', wires: [[to]] },
        create('m', `${loadName}, mended`, [['mended?'], [], []]),
      ],
    });
  }

  /** Updates without an Id, then some with one. */
  const csv = (records: number, loadable = 0) =>
    `Id,Name\n${',Row\n'.repeat(records)}${'a0X000000000001AAA,Row\n'.repeat(loadable)}`;
  const rows = ({ payload }: Message) => payload as Failure[];
  const untilFull = () => until(() => held.length === MOST_IN_FLIGHT, 'as many are on their way as may be');
  const turns = async (count: number) => {
    for (let passed = 0; passed < count; passed += 1) await turn();
  };
  const receiptOf = async (bench: Bench): Promise<Receipt> => {
    await until(() => bench.at('receipts?').length === 1, 'the run has its receipt');
    const [message] = bench.at('receipts?');
    assert.ok(message);
    return message.payload as Receipt;
  };

  it('leave in groups while it is read, which waits for the nodes behind', async () => {
    const bench = await load('groups');
    let isTaken = false;
    const taken = handled(bench.node('n'), { payload: csv(10_500), topic: 'kept' }).finally(() => {
      isTaken = true;
    });
    const messages: Message[] = [];
    for (let left = 11; left > 0; left -= 1) {
      if (left >= MOST_IN_FLIGHT) await untilFull();
      await turns(20);
      assert.equal(held.length, Math.min(left, MOST_IN_FLIGHT));
      assert.equal(isTaken, false);
      const [first] = held.splice(0, 1);
      messages.push(first?.message ?? {});
      first?.done();
    }
    assert.equal(await taken, undefined);
    assert.deepEqual(
      messages.map((message) => rows(message).length),
      [...Array(10).fill(MOST_AT_ONCE), 500],
    );
    assert.equal(new Set(messages.flatMap(rows).map(({ key }) => key)).size, 10_500);
    const parts = messages.map(({ parts }) => parts as BatchParts);
    assert.deepEqual(
      parts.map(({ index, count }) => [index, count]),
      parts.map((_, index) => [index, index === 10 ? 11 : undefined]),
    );
    assert.equal(new Set(parts.map(({ id }) => id)).size, 1);
    const { runId, received, rejected } = await receiptOf(bench);
    assert.deepEqual([received, rejected], [10_500, 10_500]);
    const { topic, job } = messages[3] ?? {};
    assert.deepEqual(
      [topic, job],
      [
        'kept',
        { runId, loadName: 'groups', object: 'Load_Test__c', operation: 'update', externalIdField: null },
      ],
    );
  });

  it('are one message of no tracked sequence when they are few', async () => {
    const bench = await load('few');
    assert.equal(await handled(bench.node('n'), { payload: csv(3) }), undefined);
    await until(() => held.length === 1, 'they have left');
    const { message } = held[0] ?? {};
    assert.ok(message);
    assert.equal(rows(message).length, 3);
    const { index, count } = message.parts as BatchParts;
    assert.deepEqual([index, count, message._sequence], [0, 1, undefined]);
  });

  it('that a node behind does not take break the run off', async () => {
    const bench = await load('refused');
    const taken = handled(bench.node('n'), { payload: csv(10_000) });
    await untilFull();
    held[0]?.done(new Error('no room'));
    const error = await taken;
    assert.ok(isLoadError(error, 'LOAD_BROKEN_OFF'), String(error));
    assert.match(error.message, /no room/);
    const { complete, rejected } = await receiptOf(bench);
    assert.deepEqual([complete, rejected], [false, MOST_IN_FLIGHT * MOST_AT_ONCE]);
  });

  it('do not hold up the end of a run that is broken off', async () => {
    const bench = await load('reset');
    const taken = handled(bench.node('n'), { payload: csv(10_000) });
    await untilFull();
    assert.equal(await handled(bench.node('n'), { reset: true }), undefined);
    assert.ok(isLoadError(await taken, 'LOAD_BROKEN_OFF'));
    assert.equal(held.length, MOST_IN_FLIGHT);
  });

  describe('of several files of a sequence', () => {
    const id = 'files';
    const openedAt = Date.now();
    const file = (index: number): Message => ({
      payload: csv(1500, 50),
      _sequence: { id, index, openedAt },
    });
    const end = () =>
      endSequence(id, { state: 'over', error: undefined }, (error) => assert.fail(String(error)));
    const loaded = (bench: Bench, sink: string) =>
      bench.at(sink).map(({ job }) => (job as { records: number }).records);

    beforeEach(() => registerSequence(id));
    afterEach(end);

    it('are one run of another create node that they go to', async () => {
      const bench = await loadMended('files', 'm');
      for (const index of [0, 1]) assert.equal(await handled(bench.node('n'), file(index)), undefined);
      assert.deepEqual([loaded(bench, 'jobs?'), loaded(bench, 'mended?')], [[], []]);
      end();
      await until(() => bench.at('jobs?').length > 0 && bench.at('mended?').length > 0, 'all are in jobs');
      assert.deepEqual([loaded(bench, 'jobs?'), loaded(bench, 'mended?')], [[100], [3000]]);
    });

    it('are refused by their own create node, which waits for them', async () => {
      const bench = await loadMended('loop', 'n');
      const error = await handled(bench.node('n'), file(0));
      assert.ok(isLoadError(error, 'LOAD_BROKEN_OFF'), String(error));
      assert.match(error.message, /LOAD_ALREADY_RUNNING|still running/);
    });
  });

  describe('after the last row is read', () => {
    const READ = 1500;
    const LOADABLE = 50;
    const untilRead = (messages: number) => until(() => held.length === messages, 'all have left');
    const mark = { id: 'outer', index: 0, openedAt: 1 };
    const end = () =>
      endSequence(mark.id, { state: 'over', error: undefined }, (error) => assert.fail(String(error)));

    for (const [whose, more] of [
      ['a message of its own', {}],
      ['a sequence that an error breaks off', { _sequence: mark }],
      ['a sequence that an error does not break off', { _sequence: mark }],
    ] as const) {
      it(`are waited for before it is loaded, and break the run off: ${whose}`, async () => {
        registerSequence(mark.id, { stopsOnError: !whose.includes('not') });
        const bench = await load(`late, ${whose}`);
        const taken = handled(bench.node('n'), { payload: csv(READ, LOADABLE), ...more });
        await untilRead(2);
        await turns(20);
        assert.deepEqual(bench.at('jobs?'), []);
        held[0]?.done(new Error('no room'));
        const error = await taken;
        end();
        assert.ok(isLoadError(error, 'LOAD_BROKEN_OFF'), String(error));
        const { complete, rejected, uploaded } = await receiptOf(bench);
        assert.deepEqual([complete, rejected, uploaded], [false, READ, 0]);
        assert.deepEqual(bench.at('jobs?'), []);
      });
    }

    it('are over before the upload, which a deploy of the nodes behind does not disturb then', async () => {
      const bench = await load('over');
      const taken = handled(bench.node('n'), { payload: csv(READ, LOADABLE) });
      await untilRead(2);
      for (const { done } of held) done();
      const { id } = sequenceMark(held[0]?.message ?? {}) ?? {};
      assert.equal(sequenceState(id ?? ''), 'open');
      await until(() => bench.at('jobs?').length === 1, 'the job is closed');
      assert.equal(sequenceState(id ?? ''), 'over');
      assert.equal(await taken, undefined);
    });
  });
});
