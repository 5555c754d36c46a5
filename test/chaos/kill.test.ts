import assert from 'node:assert/strict';
import { describeMoment, planOf } from './kill-plan.ts';
import { disturbed, type Outcome, undisturbed } from './kill-run.ts';
import { World } from './kill-world.ts';

/** Each kind of disturbance once, two of them twice; `npm run chaos:kill` does more. */
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const ROWS = 50_000;
const ROWS_PER_JOB = 5600;
const TIMEOUT_MS = 60_000;

describe('A load of 50,000 rows in nine jobs', function () {
  this.timeout(TIMEOUT_MS * 2);
  let world: World;
  let usualMs = 0;

  before(async () => {
    world = await World.open({ flow: { maxRecordsPerJob: ROWS_PER_JOB } });
  });
  after(() => world.close());
  // A process in which something went wrong may make the next load look wrong as well.
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    for (const place of [...world.running.keys()]) await world.kill(place);
  });

  it('that nobody disturbs needs one trigger, and leaves nothing in doubt', async () => {
    const outcome = await undisturbed(world, ROWS, TIMEOUT_MS);
    usualMs = outcome.ms;
    assertKept(outcome);
    assert.deepEqual([outcome.triggers, outcome.runs, outcome.jobs, outcome.inDoubt], [1, 1, 9, 0]);
    assert.deepEqual([outcome.done, outcome.deadLetters], [ROWS * 0.99, ROWS * 0.01]);
  });

  for (const seed of SEEDS) {
    const { variant, first } = planOf(seed);
    it(`keeps its promises: ${variant}, ${describeMoment(first)} (seed ${seed})`, async () => {
      assertKept(await disturbed(world, seed, { rows: ROWS, usualMs, timeoutMs: TIMEOUT_MS }));
    });
  }
});

function assertKept({ violations }: Outcome): void {
  assert.equal(violations.length, 0, violations.join('\n'));
}
