import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { isLoadError, LoadError } from '../../src/errors.ts';
import { claims } from '../../src/load/claims.ts';
import type { SalesforceConnection } from '../../src/load/connection.ts';
import type { JobResults } from '../../src/load/results.ts';
import { aJob, aLoad } from '../database/ledger/ledger-samples.ts';
import { connectTo } from '../support/loads.ts';

describe('connection', () => {
  let org: Org;
  before(async () => {
    org = await startOrg();
  });
  after(() => org.close());

  describe('letters whose records Salesforce did not process', () => {
    const EQUAL = { LastName: 'same', External_Id__c: '' };
    let connection: SalesforceConnection;
    let inClaim: Set<string>;
    let isAway: boolean;
    let endReplay: () => void;

    /** The replay of two equal letters, one in each of two jobs. */
    beforeEach(async () => {
      connection = connectTo(org);
      inClaim = new Set(['1', '2']);
      isAway = false;
      endReplay = claims.onUnprocessed({
        find: async (_claimIds, bag, known) => {
          const letters = [...inClaim].filter((id) => !known.has(id) && bag.take(EQUAL));
          return letters.length === 0 ? [] : [{ claimId: 'claim', letters }];
        },
        giveBack: async (found) => {
          if (isAway) throw new LoadError('DB_UNAVAILABLE', 'away');
          return found.flatMap(({ letters }) => letters).filter((id) => inClaim.delete(id)).length;
        },
      });
    });
    afterEach(async () => {
      endReplay();
      await connection.close();
    });

    async function unprocessedJobs(): Promise<JobResults[]> {
      const { ledger } = connection;
      const hold = await ledger.acquire(aLoad());
      assert.ok(hold);
      const { runId } = await ledger.beginRun(hold, randomUUID());
      const jobs = [0, 1].map((index) => aJob({ index, runId, records: 1 }));
      for (const job of jobs) await ledger.addJob(hold, { job, runId, carried: {}, claimIds: ['claim'] });
      return jobs.map(
        (job) =>
          ({
            job,
            counts: { unprocessed: 1 },
            rows: async function* () {
              yield [EQUAL];
            },
          }) as unknown as JobResults,
      );
    }
    const { signal } = new AbortController();

    it('are all given back, also where one was noted and the giving back failed', async () => {
      const [first, second] = await unprocessedJobs();
      assert.ok(first && second);
      isAway = true;
      await assert.rejects(connection.giveBackUnprocessed(first, signal), { code: 'DB_UNAVAILABLE' });
      isAway = false;
      await connection.giveBackUnprocessed(second, signal);
      await connection.giveBackUnprocessed(first, signal);
      assert.deepEqual([...inClaim], []);
    });

    it('hold up no other job while their database is away, and nobody who stops', async () => {
      const [first] = await unprocessedJobs();
      assert.ok(first);
      endReplay();
      const away = Promise.withResolvers<never>();
      endReplay = claims.onUnprocessed({ find: () => away.promise, giveBack: () => away.promise });
      const stop = new AbortController();
      const waiting = connection.giveBackUnprocessed(first, stop.signal);
      const none = { ...first, counts: { unprocessed: 0 } } as unknown as JobResults;
      await connection.giveBackUnprocessed(none, signal);
      stop.abort(new Error('stopped'));
      await assert.rejects(waiting, /stopped/);
      away.reject(new Error('away'));
    });

    it('are all given back when two results nodes read at the same time', async () => {
      await Promise.all(
        (await unprocessedJobs()).map((results) => connection.giveBackUnprocessed(results, signal)),
      );
      assert.deepEqual([...inClaim], []);
    });
  });

  describe('scratch', () => {
    const { TMPDIR } = process.env;
    let base: string;
    beforeEach(async () => {
      base = await mkdtemp(join(tmpdir(), 'connection-test-'));
    });
    afterEach(async () => {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      await rm(base, { recursive: true, force: true });
    });

    it('that could not be made is made when the disk is back', async () => {
      const connection = connectTo(org);
      const disk = join(base, 'disk');
      process.env.TMPDIR = disk;
      await writeFile(disk, 'no directory');
      await assert.rejects(connection.scratch(), (error) => isLoadError(error, 'CONFIG_INVALID'));
      await rm(disk);
      await mkdir(disk);
      const scratch = await connection.scratch();
      assert.equal(await connection.scratch(), scratch);
      assert.ok(scratch.directory.startsWith(disk));
      await connection.close();
    });
  });
});
