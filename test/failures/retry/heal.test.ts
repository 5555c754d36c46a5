import assert from 'node:assert/strict';
import type { Failure } from '../../../src/failure.ts';
import { startWorld, type World } from '../support/world.ts';

const JOB = { object: 'Contact', operation: 'insert', externalIdField: 'External_Id__c' } as const;
const BATCH = 1_000;

/** Of 20 failures: 6 locks, 2 Apex and 2 flow faults (all pass on retry), 10 of four kinds that never pass. */
function rowOf(at: number): string {
  const kinds = [
    ...Array(6).fill('-LOCK-'),
    '-APEX-',
    '-APEX-',
    '-FLOW-',
    '-FLOW-',
    ...Array(4).fill('-VALIDATION-'),
  ];
  const slot = at % 20;
  const id = `C-${at}${kinds[slot] ?? ''}`;
  if (slot < 14) return `Name ${at},${id},a${at}@example.com`;
  if (slot < 17) return `,${id},a${at}@example.com`;
  return `Name ${at},${slot === 19 ? 'taken-1' : id},no address ${at}`;
}

const csvOf = (count: number) =>
  `LastName,External_Id__c,Email\n${Array.from({ length: count }, (_, at) => rowOf(at)).join('\n')}\n`;

function inBatches<T>(all: T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / BATCH) }, (_, at) =>
    all.slice(at * BATCH, (at + 1) * BATCH),
  );
}

describe('2,000 failures, half locks and governor faults, half permanent', () => {
  const COUNT = 2_000;
  const GOVERNED = COUNT / 5;
  const RETRYABLE = COUNT / 2;
  let world: World;
  let failures: Failure[];
  let job: Awaited<ReturnType<World['load']>>['job'];

  before(async () => {
    world = await startWorld();
    world.org.insert('Contact', { LastName: 'First', External_Id__c: 'taken-1' });
    ({ failures, job } = await world.load(JOB, csvOf(COUNT)));
  });
  after(() => world.close());

  const deliver = async () => {
    const results = [];
    for (const batch of inBatches(failures)) {
      results.push(await world.clock.runUntil(world.retry().retry(batch, job)));
    }
    return {
      succeeded: results.flatMap(({ succeeded }) => succeeded),
      failed: results.flatMap(({ failed }) => failed),
      calls: results.reduce((sum, { calls }) => sum + calls, 0),
    };
  };

  it('heal: every retryable one, with no call for a permanent one, in few calls', async () => {
    assert.equal(failures.length, COUNT);
    assert.equal(failures.filter(({ retryable }) => retryable).length, RETRYABLE);
    const { succeeded, failed, calls } = await deliver();
    assert.equal(succeeded.length, RETRYABLE);
    assert.deepEqual(
      failed,
      failures.filter(({ retryable }) => !retryable),
    );
    assert.deepEqual(world.org.audit.insertsPerKey('Contact', 'External_Id__c'), {
      keys: RETRYABLE + 1,
      inserts: RETRYABLE + 1,
      repeated: {},
      repeatedCount: 0,
      missing: [],
    });

    const together = world.recordCalls().filter((call) => call.includes('/composite')).length;
    const alone = world.recordCalls().filter((call) => call === 'POST /sobjects/Contact').length;
    assert.equal(calls, together + alone);
    assert.equal(alone, GOVERNED);
    assert.ok(together <= (2 * RETRYABLE) / 200, `${together} calls in company`);
    assert.ok(calls <= (2 * RETRYABLE) / 200 + 10 * GOVERNED, `${calls} calls`);
  });

  it('are not sent again when they are delivered twice', async () => {
    const before = world.recordCalls().length;
    const { succeeded, failed, calls } = await deliver();
    assert.deepEqual([succeeded.length, failed.length, calls], [RETRYABLE, COUNT - RETRYABLE, 0]);
    assert.equal(world.recordCalls().length, before);
  });
});

describe('a governor fault that hit a whole chunk of 200', () => {
  it('heals: the innocent ones and the one that caused it', async () => {
    const world = await startWorld();
    try {
      const rows = Array.from(
        { length: 200 },
        (_, at) => `Name ${at},C-${at}${at === 77 ? '-APEXALL-' : ''}`,
      );
      const { failures, job } = await world.load(JOB, `LastName,External_Id__c\n${rows.join('\n')}\n`);
      assert.equal(failures.length, 200);
      const { succeeded } = await world.clock.runUntil(world.retry().retry(failures, job));
      assert.equal(succeeded.length, 200);
      assert.equal(world.org.audit.insertsPerKey('Contact', 'External_Id__c').inserts, 200);
    } finally {
      await world.close();
    }
  });
});
