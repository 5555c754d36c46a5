import assert from 'node:assert/strict';
import { until } from '../support/until.ts';
import { POLL, RETRY } from './fault-rows.ts';
import { Night, type NightOptions } from './night.ts';
import { receiptsAddUp, standing } from './night-verdict.ts';
import { NightWorld } from './night-world.ts';

const ROWS = 300;
const HEAL = 6;

describe("a load and the day's API calls", () => {
  let world: NightWorld;
  let night: Night;

  before(async () => {
    world = await NightWorld.open();
  });
  afterEach(() => night.close());
  after(() => world.close());

  /** Of each hundred rows two heal on retry. */
  async function begin(apiBudget: number, options: NightOptions): Promise<Night> {
    await world.replaceOrgFor({ apiBudget });
    const keys = Array.from({ length: ROWS }, (_, index) => `row-${index % 50 === 7 ? 'LOCK-' : ''}${index}`);
    await world.seed(keys);
    night = new Night(world, { ...options, load: { maxRecordsPerJob: 100, ...options.load } });
    return night;
  }

  async function addsUp(): Promise<{ done: number; failed: number }> {
    const found = await standing(world, night);
    assert.deepEqual(found.violations, []);
    assert.deepEqual(await receiptsAddUp(world, night.runReceipts, found), []);
    return found;
  }

  it('within the budget is nothing special, and the receipt says what was used', async () => {
    await begin(1000, { session: { apiBudgetPercent: 90 } });
    await night.trigger();
    assert.deepEqual(night.codes, []);
    assert.deepEqual(await addsUp().then(({ done, failed }) => [done, failed]), [ROWS, 0]);
    const [receipt] = night.runReceipts;
    // All that the org has counted, but the question who is logged in.
    assert.equal(receipt?.apiCalls, world.org.audit.apiCalls - 1);
    assert.equal(night.connection.session.usage?.used, world.org.audit.apiCalls);
    const ofJobs = night.jobReceipts.reduce((sum, { apiCalls }) => sum + apiCalls, 0);
    const describes = world.org.audit.requests(/describe/).length;
    assert.equal(receipt?.apiCalls, ofJobs + describes, 'what belongs to no job is the description');
  });

  it('beyond the budget makes no retry: the rest is dead letters that name the budget, and everything else goes on', async () => {
    await begin(1000, { session: { apiBudgetPercent: 1 } });
    await night.trigger();
    assert.deepEqual(night.codes, []);
    assert.equal(night.connection.session.overBudget, true);
    assert.deepEqual(world.org.audit.requests(RETRY.path), []);
    const { done, failed } = await addsUp();
    assert.deepEqual([done, failed], [ROWS - HEAL, HEAL]);
    const letters = await world.query<{ code: string; message: string }>(
      'SELECT DISTINCT error_code AS code, error_message AS message FROM sf_sync_dead_letter',
    );
    assert.ok(letters.length > 0);
    for (const { code, message } of letters) {
      assert.equal(code, 'SF_API_LIMIT');
      assert.match(message, /Not sent: .*more than the 1 % that loads may use \(apiBudget\).*Replay it/);
    }
  });

  it('beyond the budget looks for its jobs a fifth as often', async () => {
    const looks = async (apiBudgetPercent: number) => {
      await begin(100, { session: { apiBudgetPercent }, watch: { timeoutMs: 390_000 } });
      world.org.jobFaults.add({ kind: 'stall', times: 3 });
      await night.trigger();
      assert.deepEqual(new Set(night.codes), new Set(['BULK_JOB_TIMEOUT']));
      const count = world.org.audit.requests(POLL.path, POLL.method).length;
      await night.close();
      return count;
    };
    const [within, beyond] = [await looks(100), await looks(1)];
    assert.ok(within >= 3 * 20, `${within} looks within the budget`);
    assert.ok(beyond <= 3 * 9, `${beyond} looks beyond it`);
    assert.ok(beyond >= 3 * 5, `${beyond} looks beyond it`);
  });

  it('that are used up is waited out, and then nothing is missing', async () => {
    await begin(12, { session: { limitWaitMs: 600_000 } });
    const loading = night.trigger();
    await until(() => world.org.audit.apiCalls === 12, 'all calls are used');
    await world.clock.sleep(60_000);
    assert.equal(night.runReceipts.length, 0);
    const giveBack = setInterval(() => world.org.audit.resetApiCalls(), 20);
    await loading.finally(() => clearInterval(giveBack));
    assert.deepEqual(night.codes, []);
    const { done, failed } = await addsUp();
    assert.equal(done + failed, ROWS);
  });

  it('that stay used up ends with SF_API_LIMIT, and the next start carries on', async () => {
    await begin(12, { session: { limitWaitMs: 30_000 }, load: { outageMs: 10_000 } });
    await night.trigger();
    assert.ok(night.codes.length > 0);
    assert.deepEqual(new Set(night.codes), new Set(['SF_API_LIMIT']));
    const heard = night.codes.length;
    const giveBack = setInterval(() => world.org.audit.resetApiCalls(), 5);
    try {
      for (let times = 0; times < 3; times += 1) await night.trigger();
    } finally {
      clearInterval(giveBack);
    }
    assert.deepEqual(night.codes.slice(heard), ['LOAD_UNSETTLED']);
    const { done, failed } = await addsUp();
    assert.equal(done + failed, ROWS);
  });
});
