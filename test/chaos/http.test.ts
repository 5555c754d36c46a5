import assert from 'node:assert/strict';
import { disturbedByHttp } from './http-run.ts';
import { NightWorld } from './night-world.ts';

/** `npm run chaos:http` does the same with more rows, and for longer. */
const OPTIONS = { rows: 5000, probability: 0.05 };
const SEEDS = [1, 2, 3, 4, 5, 6];

describe('a load under random faults of network and org', () => {
  let world: NightWorld;

  before(async () => {
    world = await NightWorld.open();
  });
  after(() => world.close());

  for (const seed of SEEDS) {
    it(`loses nothing, and stores nothing twice (seed ${seed})`, async () => {
      const { violations, struck, jobs } = await disturbedByHttp(world, seed, OPTIONS);
      assert.deepEqual(violations, []);
      assert.ok(struck > 0, 'something was struck');
      assert.ok(jobs >= 3, `${jobs} jobs`);
    });
  }
});
