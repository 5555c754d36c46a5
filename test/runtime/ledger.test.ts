import assert from 'node:assert/strict';
import type { Receipt } from '../../src/receipt.ts';
import { Person } from '../chaos/kill-person.ts';
import { keysOf } from '../chaos/kill-run.ts';
import { verdict } from '../chaos/kill-verdict.ts';
import { World } from '../chaos/kill-world.ts';
import type { DebugMessage, FlowNode, NodeRed } from '../support/node-red.ts';

/** Holds batches back until its process is told to let them go; where the variable GATE is not set it is open. */
const GATE: FlowNode = {
  id: 'gate',
  type: 'function',
  outputs: 1,
  func: `
    if (env.get('GATE') === 'closed' && !flow.get('open')) node.status({ text: 'holds rows' });
    const open = setInterval(() => {
      if (env.get('GATE') === 'closed' && !flow.get('open')) return;
      clearInterval(open);
      node.send(msg);
      node.done();
    }, 10);`,
};
const OPEN_GATE: FlowNode[] = [
  { id: 'open', z: 'tab', type: 'inject', props: [], wires: [['opener']] },
  { id: 'opener', z: 'tab', type: 'function', func: "flow.set('open', true);", outputs: 0, wires: [] },
];
const COMMAND: FlowNode = { id: 'command', z: 'tab', type: 'inject', props: [], wires: [['create']] };

/** Sends a message with these properties to the create node. */
function command(nodeRed: NodeRed, properties: Record<string, string>): Promise<unknown> {
  const props = Object.entries(properties).map(([p, v]) => ({ p, v, vt: 'str' }));
  return nodeRed.request('POST', 'inject/command', { body: { __user_inject_props__: props } });
}

interface JobRow {
  job_id: string;
  state: string;
  abandoned_by: string | null;
  reason: string | null;
}

describe('A load with a ledger', () => {
  const ROWS = 6000;
  let world: World;
  let one: NodeRed;
  let tag = 0;
  let keys: string[];

  async function settled(): Promise<void> {
    const { violations } = await verdict(world, { keys, paused: false });
    assert.deepEqual(violations, []);
  }

  function jobs(): Promise<JobRow[]> {
    return world.query<JobRow>('SELECT job_id, state, abandoned_by, reason FROM sf_sync_job ORDER BY number');
  }

  before(async () => {
    world = await World.open({
      flow: {
        maxRecordsPerJob: 1500,
        batchSize: 500,
        between: [{ after: 'fields', node: GATE }],
        more: [...OPEN_GATE, COMMAND],
      },
      standInSeconds: 0.2,
      // Slow enough that a job is seen in the middle.
      org: { recordsPerSecond: 3000 },
      env: { two: { GATE: 'closed' } },
    });
    one = await world.start('one');
  });
  beforeEach(async () => {
    tag += 1;
    keys = keysOf(`ledger${tag}`, ROWS);
    await world.seed(keys);
  });
  after(() => world.close());

  describe('and two Node-REDs', () => {
    let two: NodeRed;

    beforeEach(async () => {
      if (!world.running.has('one')) one = await world.start('one');
      two = await world.start('two');
    });
    afterEach(() => world.kill('two'));

    it('loads in one of them, and the other says so; when the one is killed, the other finishes the run', async () => {
      const person = new Person(world, 30_000);
      await two.inject('open');
      await person.trigger(one);
      await two.inject('go');
      const refused = await two.waitForDebug(
        ({ name }) => name === 'errors',
        'the second is refused',
        15_000,
      );
      assert.equal((refused.value as { code: string }).code, 'LOAD_ALREADY_RUNNING');
      assert.match((refused.value as { message: string }).message, /another Node-RED.*rows stay READY/);
      await person.until('all rows are in jobs', ({ loading }) => loading === 0);
      await world.kill('one');
      const { ready } = await person.untilSettled();
      assert.equal(ready, 0, 'nobody had to trigger anything');
      const receipt = await two.waitForDebug(
        ({ name }) => name === 'run-receipt',
        'the second has the receipt',
      );
      const { received, unaccounted, complete } = receipt.value as Record<string, unknown>;
      assert.deepEqual(
        { received, unaccounted, complete },
        { received: ROWS, unaccounted: 0, complete: true },
      );
      await settled();
    });

    it('refuses rows as stale that were read before the run of the other ended', async () => {
      const person = new Person(world, 30_000);
      await two.inject('go');
      await two.waitForStatus('gate', ({ text }) => text === 'holds rows');
      await person.untilDone(one);
      await two.inject('open');
      await person.until('the second is refused', () => person.hear(two) > 0);
      assert.match(person.told.join('\n'), /^LOAD_STALE: .*start the select again/m);
      const { runs } = await world.standing();
      assert.equal(runs, 1);
      await settled();
    });
  });

  describe('and a job that is gone', () => {
    it('takes no new rows until somebody abandons it, and keeps who did and why', async () => {
      const person = new Person(world, 30_000);
      if (!world.running.has('one')) one = await world.start('one');
      world.org.jobFaults.add({ kind: 'vanish', nth: 2, when: 'half' });
      await person.trigger(one);
      const gone = await one.waitForDebug(
        ({ name, value }) => name === 'errors' && (value as { code: string }).code === 'BULK_JOB_GONE',
        'the poll finds nothing',
        20_000,
      );
      assert.ok(gone);
      await person.until('the others are settled', ({ unsettled }) => unsettled === 1);
      const [job] = (await jobs()).filter(({ state }) => state === 'closed');
      assert.ok(job);
      await person.trigger(one);
      await person.until('the trigger is refused', () =>
        person.told.some((text) => text.startsWith('LOAD_UNSETTLED')),
      );
      assert.match(person.told.join('\n'), new RegExp(`LOAD_UNSETTLED: .*${job.job_id}.*abandon`));

      await command(one, { abandon: job.job_id, by: 'Ada', reason: 'results are gone' });
      const { ready } = await person.untilSettled();
      assert.equal(ready, 1500, 'its rows wait to be looked at');
      const [abandoned] = (await jobs()).filter(({ job_id }) => job_id === job.job_id);
      assert.deepEqual(abandoned, {
        ...job,
        state: 'abandoned',
        abandoned_by: 'Ada',
        reason: 'results are gone',
      });
      for (const jobId of [job.job_id, null]) {
        const isIts = ({ name, value }: DebugMessage) =>
          name === 'run-receipt' &&
          (value as Receipt).jobId === jobId &&
          (value as Receipt).unaccounted === 1500;
        const receipt = await one.waitForDebug(isIts, `a receipt of ${jobId ?? 'the run'}`);
        assert.equal((receipt.value as Receipt).complete, false);
      }
      assert.match(one.logs.join('\n'), /abandoned by Ada: results are gone/);

      await command(one, { abandon: job.job_id, by: 'Ada', reason: 'again' });
      await person.until(
        'nothing is abandoned twice',
        () => person.hear(one) > 0 && person.told.some((text) => /nothing to abandon/.test(text)),
      );
      await person.untilDone(one);
      assert.equal((await world.standing()).ready, 0);
    });
  });

  it('forgets runs, their jobs and their retries when retentionDays have passed', async () => {
    const person = new Person(world, 30_000);
    if (!world.running.has('one')) one = await world.start('one');
    await person.untilDone(one);
    const [old] = await world.query<{ run_id: string }>('SELECT run_id FROM sf_sync_run');
    const kept =
      'SELECT (SELECT count(*)::int FROM sf_sync_job) AS jobs, (SELECT count(*)::int FROM sf_sync_retry) AS retries';
    const [before] = await world.query<{ jobs: number; retries: number }>(kept);
    assert.deepEqual(before, { jobs: 4, retries: 60 });
    await world.query("UPDATE sf_sync_run SET ended_at = ended_at - interval '29 days'");
    await world.query("UPDATE sf_sync_retry SET called_at = called_at - interval '29 days'");
    await loadOneMore(person, 'young');
    assert.ok(
      (await world.query('SELECT FROM sf_sync_run WHERE run_id = $1', [old?.run_id])).length === 1,
      'kept for 30 days',
    );
    await world.query("UPDATE sf_sync_run SET ended_at = ended_at - interval '2 days'");
    await world.query("UPDATE sf_sync_retry SET called_at = called_at - interval '2 days'");
    await loadOneMore(person, 'old');
    const isGone = async () =>
      (await world.query('SELECT FROM sf_sync_run WHERE run_id = $1', [old?.run_id])).length === 0;
    await one.waitFor(isGone, 'the old run is forgotten');
    await one.waitFor(
      async () => (await world.query<{ retries: number }>(kept))[0]?.retries === 0,
      'its retries too',
    );
    const jobsLeft = await world.query('SELECT FROM sf_sync_job WHERE run_id = $1', [old?.run_id]);
    assert.equal(jobsLeft.length, 0);
    const letters = await world.query('SELECT FROM sf_sync_dead_letter');
    assert.equal(letters.length, 60, 'dead letters are not the ledger');
  });

  async function loadOneMore(person: Person, key: string): Promise<void> {
    await world.query('INSERT INTO source (id, key) SELECT max(id) + 1, $1 FROM source', [`${tag}-${key}`]);
    await one.inject('go');
    await person.until('it is loaded', ({ ready, unfinished }) => ready + unfinished === 0);
  }
});
