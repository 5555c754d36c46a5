import assert from 'node:assert/strict';
import { Person } from '../chaos/kill-person.ts';
import { keysOf } from '../chaos/kill-run.ts';
import { verdict } from '../chaos/kill-verdict.ts';
import { World } from '../chaos/kill-world.ts';
import type { NodeRed } from '../support/node-red.ts';
import { until } from '../support/until.ts';

const ROWS = 3000;
const MOST_MS = 10_000;

describe('A Node-RED that is stopped in the middle of an upload', () => {
  let world: World;
  let nodeRed: NodeRed;
  let keys: string[];
  let tag = 0;

  before(async () => {
    world = await World.open({ flow: { maxRecordsPerJob: 1000, batchSize: 500 } });
  });
  beforeEach(async () => {
    tag += 1;
    keys = keysOf(`close${tag}`, ROWS);
    await world.seed(keys);
    nodeRed = world.running.get('one') ?? (await world.start('one'));
  });
  after(() => world.close());

  /** A load of which the second upload gets nowhere. */
  async function inTheMiddle(): Promise<Person> {
    const person = new Person(world, 50_000);
    const slow = world.org.faults.add({
      method: 'PUT',
      path: /batches/,
      nth: 2,
      kind: 'throttle',
      bytesPerSecond: 1000,
    });
    await person.trigger(nodeRed);
    await until(() => world.org.faults.struck(slow) > 0, 'the second upload is under way');
    return person;
  }

  async function timed(work: () => Promise<unknown>): Promise<void> {
    const begunAt = performance.now();
    await work();
    const took = performance.now() - begunAt;
    assert.ok(took < MOST_MS, `took ${Math.round(took)} ms`);
  }

  /** What was in the closed job stays, the other rows are loaded by the next trigger, and none twice. */
  async function finishes(person: Person): Promise<void> {
    world.org.faults.clear();
    await person.untilDone(nodeRed);
    const { violations, runs } = await verdict(world, { keys, paused: false });
    assert.deepEqual(violations, []);
    assert.equal(runs, 2);
  }

  it('is deployed anew within ten seconds, and the upload is given up', async () => {
    const person = await inTheMiddle();
    await timed(async () => nodeRed.deploy(await nodeRed.flows(), { type: 'full' }));
    const { Aborted = 0, Open = 0 } = world.org.audit.jobsByState();
    assert.deepEqual({ Aborted, Open }, { Aborted: 1, Open: 0 });
    await finishes(person);
  });

  it('ends within ten seconds, and the upload is given up', async () => {
    const person = await inTheMiddle();
    await timed(() => world.stop('one'));
    const { Aborted = 0, Open = 0 } = world.org.audit.jobsByState();
    assert.deepEqual({ Aborted, Open }, { Aborted: 1, Open: 0 });
    nodeRed = await world.start('one');
    await finishes(person);
  });

  it('ends within ten seconds though Salesforce answers nothing any more', async () => {
    const person = await inTheMiddle();
    world.org.faults.add({ kind: 'hang' });
    await timed(() => world.stop('one'));
    assert.equal(world.org.audit.jobsByState().Open, 1, 'it could not be aborted, and never ran');
    world.org.faults.clear();
    nodeRed = await world.start('one');
    await finishes(person);
    assert.equal(world.org.audit.openJobs, 0, 'the next start has aborted it');
  });

  it('ends within ten seconds though PostgreSQL is away', async () => {
    const person = await inTheMiddle();
    await world.postgres.halt();
    await timed(() => world.stop('one'));
    await world.postgres.restart();
    nodeRed = await world.start('one');
    await finishes(person);
  });
});
