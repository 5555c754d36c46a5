import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import sfBulkResults from '../../nodes/sf-bulk-results.ts';
import type { SfConnectionNode } from '../../nodes/shared/connections.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { LoadError } from '../../src/errors.ts';
import type { Job } from '../../src/job.ts';
import { connectTo, LoadUnderTest, loadTestRecords } from '../support/loads.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { Bench } from './support/bench.ts';

describe('sf-bulk-results', () => {
  nodeHelper.use();
  let org: Org;

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
  });
  after(() => org.close());

  /** Of a load of another process. */
  async function finishedJob(): Promise<Job> {
    const under = new LoadUnderTest(connectTo(org));
    await under.loadAll(loadTestRecords(10));
    const [job] = under.jobs;
    assert.ok(job);
    const options = { intervalMs: 20, maxIntervalMs: 50, timeoutMs: 0, stallTimeoutMs: 0 };
    const final = await under.connection.watcher.watch(job, {
      ...options,
      signal: new AbortController().signal,
    });
    await under.close();
    return final;
  }

  it('leaves no result file on disk when the ledger goes away once they are there', async () => {
    const job = await finishedJob();
    const node = { id: 'results', type: 'sf-bulk-results', connection: 'sf', settleWhen: 'through' };
    const bench = await Bench.load({ org, ledger: '', modules: [sfBulkResults], nodes: [node] });
    const { connection } = bench.node('sf') as unknown as SfConnectionNode;
    const { directory } = await connection.scratch();
    const findJob = connection.ledger.findJob.bind(connection.ledger);
    let files: string[] = [];
    connection.ledger.findJob = async (id) => {
      const found = await readdir(directory).catch(() => []);
      if (found.length === 0) return findJob(id);
      files = found;
      throw new LoadError('DB_UNAVAILABLE', 'away');
    };
    const ended = handled(bench.node('results'), { payload: job });
    assert.equal(((await ended) as LoadError).code, 'DB_UNAVAILABLE');
    assert.equal(files.length, 3);
    assert.deepEqual(await readdir(directory), []);
  });
});
