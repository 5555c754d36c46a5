import assert from 'node:assert/strict';
import { isLoadError } from '../../src/errors.ts';
import { claims } from '../../src/load/claims.ts';
import { Night } from '../chaos/night.ts';
import { standing } from '../chaos/night-verdict.ts';
import { NightWorld } from '../chaos/night-world.ts';
import { INSERT_LOAD_TEST } from '../support/loads.ts';
import { until } from '../support/until.ts';

const UPLOAD = { method: 'PUT', path: /\/batches$/ } as const;

describe('a load whose hold is lost', () => {
  let world: NightWorld;
  const nights: Night[] = [];

  before(async () => {
    world = await NightWorld.open();
  });
  beforeEach(() => world.seed(Array.from({ length: 300 }, (_, index) => `row-${index}`)));
  afterEach(async () => {
    for (const night of nights.splice(0)) await night.close();
  });
  after(() => world.close());

  function opened(): Night {
    const night = new Night(world, { load: { maxRecordsPerJob: 100 } });
    nights.push(night);
    return night;
  }

  /** As when the machine sleeps: its connection is gone, and another process has the load by the time it is back. */
  async function takeAway(): Promise<void> {
    await world.query('UPDATE sf_sync_load SET epoch = epoch + 1');
    await world.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '% lock %'",
    );
  }

  it('closes no job any more, and another process loads what is READY', async () => {
    const night = opened();
    const upload = world.org.faults.add({ ...UPLOAD, kind: 'delay', ms: 400, nth: 2 });
    const loading = night.trigger();
    await until(() => world.org.faults.struck(upload) > 0, 'the second job is being uploaded');
    await takeAway();
    await until(() => night.load.hold === undefined, 'the load is another’s');
    const other = opened();
    await until(async () => {
      await other.load.start();
      return other.load.hold !== undefined || other.runReceipts.length > 0;
    }, 'the other has it');
    await other.quiet();
    await loading;
    assert.deepEqual(night.codes.slice(0, 1), ['LOAD_BROKEN_OFF']);
    assert.deepEqual(night.runReceipts, []);
    assert.equal(other.runReceipts[0]?.complete, false);

    await other.trigger();
    const { violations, done, ready } = await standing(world, other);
    assert.deepEqual([violations, done, ready], [[], 300, 0]);
    assert.equal(world.org.audit.openJobs, 0);
  });

  it('takes no more rows, and writes nothing into the ledger', async () => {
    const night = opened();
    const run = await night.load.beginRun({ openedAt: undefined, carried: {} });
    const rows = Array.from({ length: 250 }, (_, index) => ({ Key__c: `row-${index}` }));
    await run.write(rows, INSERT_LOAD_TEST, undefined);
    await takeAway();
    await until(() => run.hold.signal.aborted, 'the hold is lost');
    await assert.rejects(run.write(rows, INSERT_LOAD_TEST, undefined), (error) =>
      isLoadError(error, 'LOAD_BROKEN_OFF'),
    );
    await assert.rejects(run.finish(), (error) => isLoadError(error, 'LOAD_BROKEN_OFF'));
    await run.breakOff(new Error('late'));
    const states = await world.query<{ state: string }>('SELECT state FROM sf_sync_run');
    assert.deepEqual(states, [{ state: 'loading' }]);
    assert.deepEqual(night.runReceipts, []);
  });

  it('knows its claims as loading no longer: what became of them, the process says that has the load', async () => {
    const run = await opened().load.beginRun({ openedAt: undefined, carried: {} });
    const claim = { id: 'replay of last night.1', letters: ['1'] };
    await run.write([{ Key__c: 'row-1' }], INSERT_LOAD_TEST, claim);
    assert.equal(claims.isLoading(claim.id), true);
    const ended: unknown[] = [];
    const onEnded = (...end: unknown[]) => ended.push(end);
    claims.on('ended', onEnded);
    await takeAway();
    await until(() => !claims.isLoading(claim.id), 'the claim is forgotten');
    claims.off('ended', onEnded);
    assert.deepEqual(ended, []);
  });
});
