import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BatchParts } from '../../nodes/shared/batches.ts';
import syncSelect from '../../nodes/sync-select.ts';
import { handled, nodeHelper, observe } from '../support/node-helper.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { Bench } from './support/bench.ts';
import { failing } from './support/failing.ts';

/** Of the CSV lane: a file has at most 100 MB. */
const ROWS_PER_FILE = 1000;
const ROW_BYTES = 99_900;

describe('sync-select', () => {
  nodeHelper.use();
  let where: TestDatabase;

  before(async () => {
    where = await testDatabase();
  });

  const load = (fails: readonly number[]): Promise<Bench> =>
    Bench.load({
      database: where,
      modules: [syncSelect, failing(fails)],
      nodes: [
        {
          id: 'n',
          type: 'sync-select',
          database: 'db',
          sql: 'SELECT n FROM generate_series(1, 50) AS n',
          batchSize: 10,
          maxInFlight: 4,
          onError: 'continue',
          wires: [['failing']],
        },
        { id: 'failing', type: 'failing', wires: [['out?']] },
      ],
    });

  async function said(fails: readonly number[]) {
    const bench = await load(fails);
    const { statuses } = observe(bench.node('n'));
    assert.equal(await handled(bench.node('n'), { payload: 1 }), undefined);
    await until(() => statuses.at(-1)?.fill === 'green', 'it shows its end');
    assert.equal(bench.at('out?').length, 5 - fails.length);
    return { warnings: bench.warnings('n'), status: statuses.at(-1)?.text };
  }

  describe('that goes on after errors', () => {
    it('counts the batches that failed, in one warning and in its status', async () => {
      const { warnings, status } = await said([1, 3]);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /^For 2 batches nodes behind this one reported errors/);
      assert.match(status ?? '', /^50 rows.*, 2 batches with errors$/);
    });

    it('says so of one, too', async () => {
      const { warnings, status } = await said([0]);
      assert.match(warnings[0] ?? '', /^For 1 batch a node behind this one reported an error/);
      assert.match(status ?? '', /, 1 batch with an error$/);
    });

    it('says nothing of none', async () => {
      const { warnings, status } = await said([]);
      assert.deepEqual(warnings, []);
      assert.doesNotMatch(status ?? '', /error/);
    });
  });

  describe('that sends CSV files', () => {
    interface Held {
      path: string;
      parts: BatchParts;
      done(error?: Error): void;
    }
    let held: Held[];

    const holding = nodeHelper.type('holding', (_RED, node) => {
      node.on('input', ({ filename, parts }, _send, done) => {
        held.push({ path: filename as string, parts: parts as BatchParts, done });
      });
    });

    function load(sql: string): Promise<Bench> {
      held = [];
      const select = { type: 'sync-select', database: 'db', lane: 'csv', maxInFlight: 1 };
      return Bench.load({
        database: where,
        modules: [syncSelect, holding],
        nodes: [
          { ...select, id: 'n', sql, wires: [['holding']] },
          { id: 'holding', type: 'holding' },
        ],
      });
    }

    async function next(): Promise<Held> {
      await until(() => held.length > 0, 'a file is on its way');
      return held.shift() as Held;
    }

    it('keeps each until every node behind is through with it, and writes only one ahead', async () => {
      const rows = 3 * ROWS_PER_FILE + 1;
      const bench = await load(`SELECT repeat('x', ${ROW_BYTES}) AS a FROM generate_series(1, ${rows})`);
      const selected = handled(bench.node('n'), { payload: 1 });
      const first = await next();
      const folder = dirname(first.path);
      for (const index of [0, 1, 2, 3]) {
        const { path, parts, done } = index === 0 ? first : await next();
        assert.deepEqual([parts.index, parts.count], [index, index === 3 ? 4 : undefined]);
        assert.ok(existsSync(path));
        if (index < 3) await until(() => readdirSync(folder).length === 2, 'the next one is begun');
        assert.ok(readdirSync(folder).length <= 2);
        done();
        await until(() => !existsSync(path), 'the file is gone');
      }
      assert.equal(await selected, undefined);
      assert.ok(!existsSync(folder));
    });

    it('leaves none when it breaks off', async () => {
      const bench = await load('SELECT 1 AS a');
      const selected = handled(bench.node('n'), { payload: 1 });
      const { path, done } = await next();
      assert.equal(await readFile(path, 'utf8'), 'a\n1\n');
      done(new Error('no room'));
      assert.match(String(await selected), /no room/);
      assert.ok(!existsSync(dirname(path)));
    });
  });
});
