import assert from 'node:assert/strict';
import { FAULTS, type FaultRow, heal, ROWS, ROWS_PER_JOB, strike } from './fault-rows.ts';
import { Night } from './night.ts';
import { receiptsAddUp, type Standing, standing } from './night-verdict.ts';
import { NightWorld } from './night-world.ts';

/** Two in a hundred heal on retry, one of them only alone, and one in a hundred fails for good. */
function keys(): string[] {
  const marks = new Map([
    [7, 'LOCK-'],
    [57, 'APEX-'],
    [33, 'VALIDATION-'],
  ]);
  return Array.from({ length: ROWS }, (_, index) => `row-${marks.get(index % 100) ?? ''}${index}`);
}

const FAIL_FOR_GOOD = ROWS / 100;
const MOST_TRIGGERS = 4;

describe('a load that meets faults', () => {
  let world: NightWorld;
  let night: Night | undefined;

  before(async () => {
    world = await NightWorld.open();
  });
  afterEach(async () => {
    await night?.close();
    night = undefined;
  });
  after(() => world.close());

  async function begin(row: FaultRow): Promise<Night> {
    await world.replaceOrgFor(row.org ?? {});
    await world.seed(keys());
    strike(world.org, row);
    night = new Night(world, {
      ...row.night,
      load: { maxRecordsPerJob: ROWS_PER_JOB, ...row.night?.load },
    });
    return night;
  }

  /** What must hold whenever the load stands still. */
  async function checked(load: Night): Promise<Standing> {
    const found = await standing(world, load);
    assert.deepEqual(found.violations, []);
    const unfinished = (await load.unsettledJobs()).length;
    if (unfinished === 0) assert.deepEqual(await receiptsAddUp(world, load.runReceipts, found), []);
    return found;
  }

  async function untilDone(load: Night): Promise<Standing> {
    let found = await checked(load);
    for (let times = 0; found.ready > 0 || (await load.unsettledJobs()).length > 0; times += 1) {
      assert.ok(times < MOST_TRIGGERS, `not done after ${times} more triggers: ${load.codes}`);
      await load.trigger();
      found = await checked(load);
    }
    return found;
  }

  /** Every request that was made is in a receipt, but the one that asks who is logged in. */
  function callsAreCounted(load: Night): void {
    const counted = load.runReceipts.reduce((sum, { apiCalls }) => sum + apiCalls, 0);
    const identity = world.org.audit.requests(/\/query\?.*Username/).length;
    assert.equal(counted + identity, load.connection.session.calls, 'API calls in the receipts');
  }

  function hasStruck(): boolean {
    return (
      world.org.faults.list().some(({ struck }) => struck > 0) ||
      world.org.audit.requests().some(({ fault, status }) => fault !== undefined || status === 401)
    );
  }

  for (const when of ['closed', 'half', 'complete'] as const) {
    it(`a job that is gone (${when}): BULK_JOB_GONE, and no new rows before somebody has abandoned it`, async () => {
      const load = await begin({ fault: 'gone', jobs: [{ kind: 'vanish', when, nth: 2 }] });
      await load.trigger();
      assert.deepEqual(load.codes, ['BULK_JOB_GONE']);
      const [gone = '', ...others] = await load.unsettledJobs();
      assert.deepEqual(others, []);
      assert.equal(load.runReceipts.length, 0);

      await load.trigger();
      assert.deepEqual(load.codes.slice(1), ['LOAD_UNSETTLED', 'BULK_JOB_GONE']);
      const receipt = await load.load.abandon(gone, 'somebody', 'deleted in Setup');
      assert.deepEqual([receipt.uploaded, receipt.unaccounted, receipt.complete], [200, 200, false]);
      await load.quiet();
      const found = await standing(world, load);
      assert.deepEqual(await receiptsAddUp(world, load.runReceipts, found, ROWS_PER_JOB), []);
      assert.deepEqual([load.runReceipts.length, load.runReceipts[0]?.complete], [1, false]);
      const { state, abandonedBy, reason } = (await load.connection.ledger.findJob(gone)) ?? {};
      assert.deepEqual([state, abandonedBy, reason], ['abandoned', 'somebody', 'deleted in Setup']);
      await assert.rejects(load.load.abandon(gone, 'somebody', 'again'), /nothing to abandon/);
    });
  }

  for (const [call, rows] of Object.entries(FAULTS)) {
    describe(call, () => {
      for (const row of rows) {
        const { fault, codes = [], ready = 0, openJobs = 0 } = row;
        it(`${fault}${codes.length > 0 ? `: ${[...new Set(codes)]}, and what is needed to carry on` : ''}`, async () => {
          const load = await begin(row);
          const meanwhile = row.meanwhile?.(world, load);
          await load.trigger();
          await meanwhile;
          if (row.requests || row.org) assert.ok(hasStruck(), 'the fault has struck');
          assert.deepEqual(load.codes, codes);
          const first = await checked(load);
          assert.ok(
            [ready].flat().includes(first.ready),
            `${first.ready} rows are READY still, not ${ready}`,
          );

          const wasParked = (await load.unsettledJobs()).length > 0;
          await heal(row, world, load);
          const last = await untilDone(load);
          assert.deepEqual(
            load.codes.slice(codes.length),
            row.codesAfter ?? (wasParked ? ['LOAD_UNSETTLED'] : []),
          );
          assert.equal(last.done + last.failed, ROWS);
          assert.equal(last.failed, FAIL_FOR_GOOD + last.inDoubt);
          assert.ok(world.org.audit.openJobs <= openJobs, `${world.org.audit.openJobs} jobs are Open`);
          callsAreCounted(load);
        });
      }
    });
  }
});
