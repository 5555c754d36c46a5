import assert from 'node:assert/strict';
import type { Fault } from '../../../sandbox/org/org.ts';
import type { Clock } from '../../../src/clock.ts';
import type { RetryOutcome } from '../../../src/database/ledger/job-ledger.ts';
import { MemoryLedger } from '../../../src/database/ledger/memory-ledger.ts';
import { isLoadError, LoadError } from '../../../src/errors.ts';
import type { Failure } from '../../../src/failure.ts';
import { until } from '../../support/until.ts';
import { failureOf, startWorld, type World } from '../support/world.ts';

const INSERT = { id: '750xx', object: 'Load_Test__c', operation: 'insert', externalIdField: null } as const;

describe('a retry that is stopped', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(() => world.reset());
  after(() => world.close());

  const failures = (count: number): Failure[] =>
    Array.from({ length: count }, (_, at) =>
      failureOf(world.classifier, `key ${at}`, { Name: 'x', Key__c: `K-${at}` }),
    );
  const inserts = () => world.org.audit.insertsPerKey('Load_Test__c', 'Key__c');
  /** The next insert meets this; resolves once it has reached the org. */
  const strikeNext = (fault: Omit<Fault, 'path' | 'method' | 'times'>) => {
    const number = world.org.faults.add({
      path: /sobjects\/Load_Test__c$/,
      method: 'POST',
      times: 1,
      ...fault,
    });
    return () => until(() => world.org.faults.struck(number) > 0, 'the call is in the air');
  };
  const states = async (list: Failure[]) =>
    [
      ...(
        await world.ledger.beginRetries(
          list.map(({ key }) => ({ key, jobId: null })),
          undefined,
        )
      ).values(),
    ].map(({ state }) => state);

  it('before it began makes no call', async () => {
    const reason = new Error('closed');
    await assert.rejects(
      world.retry().retry(failures(2), INSERT, { signal: AbortSignal.abort(reason) }),
      reason,
    );
    assert.deepEqual(world.recordCalls(), []);
  });

  it('waits for the call under way, keeps what it brought, and sends the rest the next time', async () => {
    const list = failures(3);
    const stop = new AbortController();
    const reason = new Error('closed');
    const callInTheAir = strikeNext({ kind: 'delay', ms: 300 });
    const retry = world.retry({ mode: 'individual' });
    const running = retry.retry(list, INSERT, { signal: stop.signal });
    await callInTheAir();
    stop.abort(reason);
    await assert.rejects(running, reason);
    assert.equal(inserts().inserts, 1);
    const { succeeded } = await world.clock.runUntil(retry.retry(list, INSERT));
    assert.equal(succeeded.length, 3);
    assert.deepEqual([inserts().inserts, inserts().repeatedCount], [3, 0]);
  });

  it('breaks a call off that does not end in time, and leaves it as unknown', async () => {
    const list = failures(1);
    const stop = new AbortController();
    const callInTheAir = strikeNext({ kind: 'hang' });
    const running = world
      .retry({ mode: 'individual', graceMs: 3_000 })
      .retry(list, INSERT, { signal: stop.signal });
    await callInTheAir();
    stop.abort(new Error('closed'));
    const before = world.clock.now();
    const { failed } = await world.clock.runUntil(running);
    assert.ok(world.clock.now() - before >= 3_000);
    assert.deepEqual(
      failed.map(({ errorCode }) => errorCode),
      ['IN_DOUBT'],
    );
    assert.deepEqual(await states(list), ['in-doubt']);
  });

  it('in the middle of a wait ends at once', async () => {
    world.org.faults.add({
      path: /Load_Test__c$/,
      method: 'POST',
      kind: 'status',
      status: 400,
      body: [{ errorCode: 'UNABLE_TO_LOCK_ROW', message: 'x' }],
    });
    const stop = new AbortController();
    const reason = new Error('closed');
    const list = failures(1);
    const running = world.retry({ mode: 'individual' }).retry(list, INSERT, { signal: stop.signal });
    await until(() => world.clock.sleeping > 0, 'it waits');
    stop.abort(reason);
    await assert.rejects(running, reason);
    assert.equal(
      (await world.ledger.beginRetries([{ key: 'key 0', jobId: null }], undefined)).get('key 0')?.state,
      'failed',
    );
  });

  it('because another process took the load over makes no further call', async () => {
    const load = { orgId: '00D', loadName: 'contacts' };
    const hold = await world.ledger.acquire(load);
    await hold?.release();
    await world.ledger.acquire(load);
    await assert.rejects(world.retry().retry(failures(2), INSERT, { hold }), (error) =>
      isLoadError(error, 'LOAD_BROKEN_OFF'),
    );
    assert.deepEqual(world.recordCalls(), []);
  });

  it('stops when the hold is lost in the middle', async () => {
    const lost = new AbortController();
    const reason = new LoadError('LOAD_BROKEN_OFF', 'taken over');
    const held = await world.ledger.acquire({ orgId: '00D', loadName: 'contacts' });
    assert.ok(held);
    const callInTheAir = strikeNext({ kind: 'delay', ms: 300 });
    const running = world
      .retry({ mode: 'individual' })
      .retry(failures(5), INSERT, { hold: { ...held, signal: lost.signal } });
    await callInTheAir();
    lost.abort(reason);
    await assert.rejects(running, reason);
    assert.equal(world.recordCalls().length, 1);
  });

  it('by a refusal that lies with the user says so, and leaves nothing in doubt', async () => {
    world.org.faults.add({
      path: /composite/,
      kind: 'status',
      status: 403,
      times: 1,
      body: [
        { errorCode: 'API_DISABLED_FOR_ORG', message: 'The REST API is not enabled for this Organization.' },
      ],
    });
    const list = failures(3);
    const meter = { calls: 0 };
    const { broken, failed } = await world.clock.runUntil(world.retry().retry(list, INSERT, { meter }));
    assert.match(String(broken?.error), /API_DISABLED_FOR_ORG/);
    assert.deepEqual([broken?.rest, failed], [list, []]);
    assert.equal(meter.calls, 1);
    const { succeeded } = await world.clock.runUntil(world.retry().retry(list, INSERT));
    assert.equal(succeeded.length, 3);
  });

  it('by the ledger after a call finds the call again by what the ledger knows', async () => {
    class FlakyLedger extends MemoryLedger {
      failing = true;
      override async endRetries(outcomes: RetryOutcome[]): Promise<void> {
        if (this.failing) throw new LoadError('DB_UNAVAILABLE', 'away');
        await super.endRetries(outcomes);
      }
    }
    const ledger = new FlakyLedger(world.clock);
    const upserts = {
      id: '750xx',
      object: 'Contact',
      operation: 'insert',
      externalIdField: 'External_Id__c',
    } as const;
    const list = ['C-1', 'C-2'].map((id) =>
      failureOf(world.classifier, id, { LastName: 'x', External_Id__c: id }),
    );
    const first = await world.clock.runUntil(world.retry({ ledger }).retry(list, upserts));
    assert.ok(isLoadError(first.broken?.error, 'DB_UNAVAILABLE'));
    assert.deepEqual([first.succeeded.length, first.broken.rest], [2, []]);
    ledger.failing = false;
    const { succeeded } = await world.clock.runUntil(world.retry({ ledger }).retry(list, upserts));
    assert.equal(succeeded.length, 2);
    assert.equal(world.org.audit.insertsPerKey('Contact', 'External_Id__c').inserts, 2);
  });

  it('is no reason to send twice what is delivered twice at the same time', async () => {
    const list = failures(50);
    const [a, b] = [world.retry(), world.retry({ mode: 'individual' })];
    const [first, second] = await world.clock.runUntil(
      Promise.all([a.retry(list, INSERT), b.retry(list, INSERT)]),
    );
    assert.deepEqual(second.succeeded, first.succeeded);
    assert.deepEqual([first.succeeded.length, second.calls], [50, 0]);
    assert.deepEqual([inserts().inserts, inserts().repeatedCount], [50, 0]);
  });

  it('or not: a clock that ticks between two readings holds nothing up', async () => {
    world.org.faults.add({
      path: /Load_Test__c$/,
      method: 'POST',
      kind: 'status',
      status: 400,
      times: 5,
      body: [{ errorCode: 'UNABLE_TO_LOCK_ROW', message: 'x' }],
    });
    let now = 1_000_000;
    /** Sleeps a little too short, and moves by a millisecond with every reading. */
    const ticking: Clock = {
      now: () => now++,
      sleep: async (ms) => {
        now += Math.max(0, ms - 4);
      },
    };
    const { succeeded } = await world
      .retry({ mode: 'individual', maxAttempts: 9, clock: ticking })
      .retry(failures(1), INSERT);
    assert.equal(succeeded.length, 1);
  });
});

describe('calls side by side', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(() => world.reset());
  after(() => world.close());

  /** Counts calls in flight, and which parents they touch, by what the org sees. */
  async function overlaps(
    mode: 'individual' | 'collections',
    parents: number,
    count: number,
    concurrency: number,
  ) {
    const accounts = Array.from({ length: parents }, (_, at) =>
      world.org.insert('Account', { Name: `A ${at}`, External_Id__c: `A-${at}` }),
    );
    const list = Array.from({ length: count }, (_, at) =>
      failureOf(world.classifier, `side ${at}`, {
        LastName: `N ${at}`,
        External_Id__c: `C-${at}`,
        AccountId: accounts[at % parents] ?? '',
      }),
    );
    const inFlight = new Map<string, number>();
    let shared = 0;
    let most = 0;
    const watch = async <T>(touched: string[], call: () => Promise<T>): Promise<T> => {
      if (touched.some((parent) => inFlight.has(parent))) shared += 1;
      for (const parent of touched) inFlight.set(parent, 1);
      open += 1;
      most = Math.max(most, open);
      try {
        return await call();
      } finally {
        open -= 1;
        for (const parent of touched) inFlight.delete(parent);
      }
    };
    let open = 0;
    const parentsOf = (records: readonly { fields: Record<string, unknown> }[]) => [
      ...new Set(records.map(({ fields }) => String(fields.AccountId))),
    ];
    const { records } = world;
    const watched = Object.assign(Object.create(records) as typeof records, {
      createRecord: (object: string, fields: Record<string, unknown>, options: object) =>
        watch(parentsOf([{ fields }]), () => records.createRecord(object, fields, options)),
      saveCollection: (
        operation: 'insert',
        object: string,
        all: { fields: Record<string, unknown> }[],
        options: object,
      ) => watch(parentsOf(all), () => records.saveCollection(operation, object, all, options)),
    });
    const job = {
      id: '750xx',
      object: 'Contact',
      operation: 'insert',
      externalIdField: 'External_Id__c',
    } as const;
    const result = await world.clock.runUntil(
      world.retry({ mode, concurrency, records: watched }).retry(list, job),
    );
    return { shared, most, result };
  }

  it('never share a parent, and use the concurrency that there is', async () => {
    const { shared, most, result } = await overlaps('individual', 7, 60, 5);
    assert.deepEqual([shared, most, result.succeeded.length], [0, 5, 60]);
  });

  it('of one parent go one after the other', async () => {
    const { shared, most, result } = await overlaps('individual', 1, 12, 5);
    assert.deepEqual([shared, most, result.succeeded.length], [0, 1, 12]);
  });

  it('of Collections are cut by parent, and stay full', async () => {
    const { shared, most, result } = await overlaps('collections', 40, 1000, 3);
    assert.deepEqual([shared, result.succeeded.length], [0, 1000]);
    assert.ok(most >= 2, String(most));
    assert.ok(result.calls <= 8, String(result.calls));
  });
});
