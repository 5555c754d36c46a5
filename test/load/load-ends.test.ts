import assert from 'node:assert/strict';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import type { LedgerRun } from '../../src/database/ledger/job-ledger.ts';
import { MemoryLedger } from '../../src/database/ledger/memory-ledger.ts';
import { isLoadError, LoadError } from '../../src/errors.ts';
import { claims } from '../../src/load/claims.ts';
import type { LoadOptions } from '../../src/load/load-options.ts';
import type { Run } from '../../src/load/run.ts';
import { FastClock } from '../chaos/fast-clock.ts';
import { aJob, aReceipt } from '../database/ledger/ledger-samples.ts';
import {
  type ConnectOptions,
  connectTo,
  INSERT_LOAD_TEST,
  LoadUnderTest,
  loadTestRecords,
} from '../support/loads.ts';
import { until } from '../support/until.ts';

const CLOSE = { method: 'PATCH', path: /\/jobs\/ingest\/\w+$/ } as const;
const UPLOAD = { method: 'PUT', path: /\/batches$/ } as const;
const POLL = { method: 'GET', path: /\/jobs\/ingest\/\w+$/ } as const;
const START = { openedAt: undefined, carried: {} };
const code = (wanted: Parameters<typeof isLoadError>[1]) => (error: unknown) => isLoadError(error, wanted);

/** Does what it is told before it writes an end, and knows what was written in which order. */
class LedgerWithEnds extends MemoryLedger {
  readonly order: ('began' | 'ended')[] = [];
  beforeEnd: () => Promise<void> = async () => {};
  beforeAbandon: (jobId: string) => Promise<void> = async () => {};

  override async beginRun(...run: Parameters<MemoryLedger['beginRun']>): Promise<LedgerRun> {
    this.order.push('began');
    return super.beginRun(...run);
  }

  override async endRun(...end: Parameters<MemoryLedger['endRun']>): Promise<void> {
    await this.beforeEnd();
    await super.endRun(...end);
    this.order.push('ended');
  }

  override async abandonJob(...job: Parameters<MemoryLedger['abandonJob']>): Promise<boolean> {
    await this.beforeAbandon(job[0]);
    return super.abandonJob(...job);
  }
}

describe('ends of a load', () => {
  let org: Org;
  let under: LoadUnderTest;
  const others: LoadUnderTest[] = [];
  let ledger: LedgerWithEnds;

  before(async () => {
    org = await startOrg();
  });
  beforeEach(async () => {
    await org.reset();
    ledger = new LedgerWithEnds();
    under = opened();
  });
  afterEach(async () => {
    await under.close();
    for (const other of others.splice(0)) await other.close();
  });
  after(() => org.close());

  function opened(options: Partial<LoadOptions> = {}, connection: ConnectOptions = {}): LoadUnderTest {
    return new LoadUnderTest(connectTo(org, { ledger, ...connection }), {
      loadName: 'rows',
      maxRecordsPerJob: 100,
      ...options,
    });
  }

  /** The same load in another Node-RED. */
  function another(options: Partial<LoadOptions> = {}, connection: ConnectOptions = {}): LoadUnderTest {
    const other = opened(options, connection);
    others.push(other);
    return other;
  }

  /** In place of the one that every test has. */
  async function replaced(
    options: Partial<LoadOptions>,
    connection: ConnectOptions = {},
  ): Promise<LoadUnderTest> {
    await under.close();
    under = opened(options, connection);
    return under;
  }

  const write = (run: Run, count: number, prefix?: string) =>
    run.write(loadTestRecords(count, prefix), INSERT_LOAD_TEST, undefined);
  const stored = () => [...org.records('Load_Test__c')].length;
  const requests = (path: RegExp, method: string) => org.audit.requests(path, method).length;
  const receipt = async (of = under) => {
    await until(() => of.receipts.length > 0, 'the run has its receipt');
    return of.receipts[0];
  };
  const loadKey = async () => ({
    orgId: (await under.connection.session.identity()).orgId,
    loadName: 'rows',
  });
  const filesLeft = async () => {
    const { directory } = await under.connection.scratch();
    return readdir(directory).catch(() => []);
  };

  describe('a second trigger is refused, and told where the load runs', () => {
    const refused = async (load: LoadUnderTest): Promise<string> => {
      const run = await under.load.beginRun(START);
      const refusal = load.load.beginRun(START);
      await assert.rejects(refusal, code('LOAD_ALREADY_RUNNING'));
      await run.finish();
      return refusal.then(
        () => '',
        (error: Error) => error.message,
      );
    };

    it('at the same node', async () => {
      assert.match(await refused(under), /still running \(rows are being loaded\).*rows stay READY/);
    });

    it('at another node of the same connection', async () => {
      const second = new LoadUnderTest(under.connection, { loadName: 'rows', maxRecordsPerJob: 100 });
      assert.match(
        await refused(second),
        /running in another node of this Node-RED, which has the same load name\..*rows stay READY/,
      );
      await second.load.close();
    });

    it('anywhere else that has the same ledger', async () => {
      assert.match(
        await refused(another()),
        /in another Node-RED, or in this one through another connection node\..*rows stay READY/,
      );
    });
  });

  describe('break-off', () => {
    it('happens once, whoever breaks the run off at the same time', async () => {
      const run = await under.load.beginRun(START);
      await write(run, 150);
      await Promise.all([
        run.breakOff(new Error('the select failed')),
        run.breakOff(new Error('a node behind failed')),
        under.load.close(),
      ]);
      await run.breakOff(new Error('late'));
      await until(() => under.receipts.length > 0 || under.jobs.length > 0, 'it has an end');
      await assert.rejects(run.loaded, /the select failed/);
      await assert.rejects(write(run, 1), /the select failed/);
      assert.ok(under.receipts.length <= 1);
      assert.deepEqual(await filesLeft(), []);
    });

    it('changes nothing any more when the last row is on its way into the ledger', async () => {
      const run = await under.load.beginRun(START);
      await write(run, 150);
      const finished = run.finish();
      await run.loaded.catch(() => {});
      await run.breakOff(new Error('late'));
      await finished;
      await under.settleAll();
      assert.equal((await receipt())?.complete, true);
      assert.equal(stored(), 150);
    });

    it('by an upload that is refused gives up what waits behind it, and no job of it runs', async () => {
      const refusal = [{ errorCode: 'CLIENTINPUTERROR', message: 'no' }];
      org.faults.add({ ...UPLOAD, kind: 'delay', ms: 50 });
      org.faults.add({ ...UPLOAD, kind: 'status', status: 400, body: refusal, nth: 1 });
      await assert.rejects(under.loadAll(loadTestRecords(1000), 100), code('SF_REQUEST_FAILED'));
      const { received, complete } = (await receipt()) ?? {};
      assert.deepEqual([received, complete, stored(), under.jobs.length], [0, false, 0, 0]);
      assert.equal(org.audit.openJobs, 0);
      assert.deepEqual(await filesLeft(), []);
    });

    it('keeps what is closed: its receipt counts that, and says that it is not complete', async () => {
      const refusal = [{ errorCode: 'CLIENTINPUTERROR', message: 'no' }];
      org.faults.add({ ...UPLOAD, kind: 'status', status: 400, body: refusal, nth: 3 });
      await assert.rejects(under.loadAll(loadTestRecords(1000), 100), code('SF_REQUEST_FAILED'));
      assert.equal(under.jobs.length, 2);
      await under.settleAll();
      const { received, succeeded, complete } = (await receipt()) ?? {};
      assert.deepEqual([received, succeeded, complete, stored()], [200, 200, false, 200]);
    });

    it('lets a close that is under way come to its end', async () => {
      org.faults.add({ ...CLOSE, kind: 'delay', ms: 150 });
      const run = await under.load.beginRun(START);
      await write(run, 101);
      await until(() => under.load.unsettled.length === 1, 'the first job is being closed');
      await run.breakOff(new Error('the select failed'));
      assert.equal(under.jobs.length, 1);
      assert.equal(under.jobs[0]?.state, 'UploadComplete');
      await under.settleAll();
      assert.equal((await receipt())?.succeeded, 100);
    });

    it('waits for a close no longer than a redeploy can; the job counts as closed, and is looked at when Salesforce is back', async () => {
      const load = await replaced({}, { clock: new FastClock(100) });
      org.faults.add({ ...CLOSE, kind: 'hang' });
      const run = await load.load.beginRun(START);
      await write(run, 101);
      await until(() => load.load.unsettled.length === 1, 'the first job is being closed');
      const [job] = load.load.unsettled;
      await run.breakOff(new Error('the select failed'));
      assert.deepEqual(load.jobs, []);
      assert.match((await ledger.findJob(job?.id ?? ''))?.parkedReason ?? '', /not confirmed/);

      org.faults.clear();
      await assert.rejects(load.load.beginRun(START), code('LOAD_UNSETTLED'));
      assert.deepEqual(
        load.jobs.map(({ id, state }) => [id, state]),
        [[job?.id, 'Aborted']],
      );
      await load.settleAll();
      const { uploaded, unprocessed, unaccounted, complete } = (await receipt(load)) ?? {};
      assert.deepEqual([uploaded, unprocessed, unaccounted, complete], [100, 100, 0, false]);
      assert.equal(stored(), 0);
    });
  });

  describe('a job of which the ledger could not be told', () => {
    const away = () => Promise.reject(new LoadError('DB_UNAVAILABLE', 'away'));

    /** Rejects, though the statement may have taken. */
    function awayFor<M extends 'markClosing' | 'discardJob' | 'runLoaded'>(method: M, took: boolean): void {
      const statement = ledger[method].bind(ledger) as (...values: unknown[]) => Promise<unknown>;
      Object.assign(ledger, {
        [method]: async (...values: unknown[]) => {
          if (took) await statement(...values);
          return away();
        },
      });
    }

    /** Own properties hide what the class does. */
    function back(): void {
      for (const method of ['markClosing', 'discardJob', 'runLoaded']) Reflect.deleteProperty(ledger, method);
    }

    async function failsToLoad(error: 'DB_UNAVAILABLE' | 'SF_REQUEST_FAILED'): Promise<void> {
      await assert.rejects(under.loadAll(loadTestRecords(10)), code(error));
      await until(() => under.load.hold === undefined, 'the load is let go');
      back();
      assert.deepEqual([under.jobs, under.receipts], [[], []]);
    }

    for (const [what, isNoted] of [
      ['', true],
      [', nor that the load broke off', false],
    ] as const) {
      it(`that it is being closed${what}, is given up by whoever takes the run over`, async () => {
        awayFor('markClosing', false);
        if (!isNoted) awayFor('runLoaded', false);
        await failsToLoad('DB_UNAVAILABLE');
        assert.equal(org.audit.openJobs, 1);
        await (await under.load.beginRun(START)).finish();
        assert.equal(org.audit.openJobs, 0);
        const { received, complete, apiCalls } = (await receipt()) ?? {};
        assert.deepEqual([received, complete], [0, false]);
        // The load's connection asks once who it is.
        assert.equal(apiCalls, under.connection.session.calls - 1);
      });
    }

    it('and that is marked as closing there all the same, is aborted, and its results are read', async () => {
      awayFor('markClosing', true);
      await failsToLoad('DB_UNAVAILABLE');
      await assert.rejects(under.load.beginRun(START), code('LOAD_UNSETTLED'));
      assert.deepEqual(
        under.jobs.map(({ state }) => state),
        ['Aborted'],
      );
      await under.settleAll();
      const { uploaded, unprocessed, complete } = (await receipt()) ?? {};
      assert.deepEqual([uploaded, unprocessed, complete, stored()], [10, 10, false, 0]);
    });

    it('that it was discarded, is discarded by whoever takes the run over', async () => {
      const refusal = [{ errorCode: 'CLIENTINPUTERROR', message: 'no' }];
      org.faults.add({ ...UPLOAD, kind: 'status', status: 400, body: refusal, nth: 1 });
      awayFor('discardJob', false);
      await failsToLoad('SF_REQUEST_FAILED');
      const [run] = await ledger.unfinishedRuns(await loadKey());
      await (await under.load.beginRun(START)).finish();
      const jobs = await ledger.jobsOfRun(run?.runId ?? '');
      assert.deepEqual(
        jobs.map(({ state }) => state),
        ['discarded'],
      );
      assert.deepEqual([(await receipt())?.received, org.audit.openJobs], [0, 0]);
    });

    it('does not hold up what else of the run goes on', async () => {
      const run = await under.load.beginRun(START);
      await write(run, 150);
      await until(() => under.jobs.length === 1, 'the first job is closed');
      awayFor('markClosing', false);
      await assert.rejects(run.finish(), code('DB_UNAVAILABLE'));
      await run.breakOff(new Error('the last job'));
      back();
      assert.ok(under.load.hold);
      await under.settleAll();
      await until(() => under.load.hold === undefined, 'the load is let go');
      const next = another();
      await next.load.start();
      const { succeeded, complete } = (await receipt(next)) ?? {};
      assert.deepEqual([succeeded, complete, org.audit.openJobs], [100, false, 0]);
    });
  });

  describe('an uploaded file that cannot be removed', () => {
    it('holds nothing up: its job counts, and the files behind it are uploaded', async () => {
      const { directory } = await under.connection.scratch();
      const upload = org.faults.add({ ...UPLOAD, kind: 'delay', ms: 100, nth: 1 });
      const run = await under.load.beginRun(START);
      await write(run, 101);
      await until(() => org.faults.struck(upload) > 0, 'the first file is being uploaded');
      const [first = ''] = await readdir(directory);
      await rm(join(directory, first));
      await mkdir(join(directory, first));
      // More files than may exist at once.
      await write(run, 600, 'more');
      await run.finish();
      await under.settleAll();
      const { received, succeeded, complete } = (await receipt()) ?? {};
      assert.deepEqual([received, succeeded, complete, stored()], [701, 701, true, 701]);
    });
  });

  describe('settling', () => {
    it('may come before the last row', async () => {
      const run = await under.load.beginRun(START);
      await write(run, 150);
      await until(() => under.jobs.length === 1, 'the first job is closed');
      await under.settleAll();
      assert.equal(under.receipts.length, 0);
      await run.finish();
      await under.settleAll();
      assert.equal((await receipt())?.succeeded, 150);
      assert.equal(under.load.hold, undefined);
    });

    it('is over before a new run begins, however close that follows', async () => {
      ledger.beforeEnd = () => new Promise(setImmediate);
      await under.loadAll(loadTestRecords(10));
      await under.settleAll();
      await (await under.load.beginRun(START)).finish();
      assert.deepEqual(ledger.order.slice(0, 3), ['began', 'ended', 'began']);
      await until(() => under.receipts.length === 2, 'both runs have their receipt');
    });

    it('stays the end of a job that is abandoned a moment too late', async () => {
      await under.loadAll(loadTestRecords(10));
      const [job] = under.jobs;
      assert.ok(job);
      ledger.beforeAbandon = async () => {
        const settled = aReceipt({ succeeded: 10, unaccounted: 0 });
        await ledger.settleJob(job.id, job, settled);
        under.connection.events.emit('settled', job, settled);
      };
      await assert.rejects(under.load.abandon(job.id, 'Ada', 'too slow'), /nothing to abandon/);
      assert.deepEqual([(await receipt())?.succeeded, under.receipts[0]?.unaccounted], [10, 0]);
    });

    it('lets a load go that was taken over to abandon such a job', async () => {
      await under.loadAll(loadTestRecords(150));
      const [first, second] = under.jobs;
      assert.ok(first && second);
      for (const { id } of [first, second]) await under.connection.park(id, 'stalled', false);
      await until(() => under.load.hold === undefined, 'the load is let go');
      ledger.beforeAbandon = (id) => ledger.settleJob(id, id === first.id ? first : second, aReceipt());
      const next = another();
      for (const { id } of [first, second]) {
        await assert.rejects(next.load.abandon(id, 'Ada', 'too slow'), /nothing to abandon/);
        assert.equal(next.load.hold, undefined);
      }
      assert.equal(next.receipts.length, 1, 'that was its last job');
    });

    it('that could not be written down is written down at the next chance', async () => {
      const away = () => Promise.reject(new LoadError('DB_UNAVAILABLE', 'away'));
      for (const chance of [() => under.load.standIn(), () => under.load.beginRun(START)]) {
        ledger.beforeEnd = away;
        await under.loadAll(loadTestRecords(10));
        await under.settleAll();
        await assert.rejects(chance(), code('DB_UNAVAILABLE'));
        assert.equal(under.receipts.length, 0);
        ledger.beforeEnd = async () => {};
        await chance();
        assert.equal((await receipt())?.succeeded, 10);
        const endedAt = Date.parse(under.receipts.splice(0)[0]?.finishedAt ?? '');
        await until(() => Date.now() > endedAt + 1, 'rows that are read now are not stale');
      }
    });

    describe('through another connection or process is heard of', () => {
      let elsewhere: LoadUnderTest;
      beforeEach(async () => {
        elsewhere = another({ loadName: 'another load of the same ledger' });
        await under.loadAll(loadTestRecords(150));
      });

      const chances = {
        'when the load looks after it': () => under.load.standIn(),
        'when flows start': () => under.load.start(),
        'when the next run begins': async () => {
          await (await under.load.beginRun(START)).finish();
        },
      };
      for (const [when, chance] of Object.entries(chances)) {
        it(when, async () => {
          for (const job of under.jobs.splice(0)) await elsewhere.settle(job);
          assert.equal(under.receipts.length, 0);
          await chance();
          const { succeeded, complete, apiCalls } = (await receipt()) ?? {};
          assert.deepEqual([succeeded, complete, under.jobs.length], [150, true, 0]);
          // The load's connection asks once who it is.
          assert.equal(apiCalls, under.connection.session.calls - 1 + elsewhere.connection.session.calls);
        });
      }

      it('also of some jobs only: the others are sent again', async () => {
        const [first, second] = under.jobs.splice(0);
        if (first) await elsewhere.settle(first);
        await assert.rejects(under.load.beginRun(START), (error: Error) => {
          assert.doesNotMatch(error.message, new RegExp(first?.id ?? ''));
          return code('LOAD_UNSETTLED')(error);
        });
        assert.deepEqual(
          under.jobs.map(({ id }) => id),
          [second?.id],
        );
        await under.settleAll();
        assert.equal((await receipt())?.succeeded, 150);
      });

      it('also of a job that was abandoned', async () => {
        const [first, second] = under.jobs.splice(0);
        if (second) await under.settle(second);
        const given = aReceipt({ uploaded: 100, succeeded: 0, failed: 0, unaccounted: 100 });
        await ledger.abandonJob(first?.id ?? '', 'Ada', 'gone', given);
        await under.load.standIn();
        assert.deepEqual([(await receipt())?.unaccounted, under.load.hold], [100, undefined]);
      });
    });

    it('counts the calls of a process that is gone', async () => {
      await under.loadAll(loadTestRecords(250));
      const before = under.connection.session.calls;
      await under.load.close();
      const next = another();
      await next.load.start();
      assert.equal(next.jobs.length, 3);
      await next.settleAll();
      const { apiCalls = 0, succeeded } = (await receipt(next)) ?? {};
      assert.equal(succeeded, 250);
      // Each process asks once who it is.
      assert.equal(apiCalls, before - 1 + next.connection.session.calls - 1);
    });
  });

  describe('jobs that stopped', () => {
    it('are sent again when flows are up after a deploy, also while rows are still loaded', async () => {
      let isUp = true;
      const load = await replaced({ canSend: () => isUp });
      const run = await load.load.beginRun(START);
      await write(run, 150);
      await until(() => load.jobs.length === 1, 'the first job is closed');
      const [job] = load.jobs.splice(0);
      isUp = false;
      await load.connection.park(job?.id ?? '', 'poll was deployed anew', true);
      await load.load.start();
      assert.deepEqual(
        load.jobs.map(({ id }) => id),
        [job?.id],
      );
      isUp = true;
      load.jobs.length = 0;
      await load.connection.park(job?.id ?? '', 'results were deployed anew', true);
      await until(() => load.jobs.length === 1, 'it is sent at once when somebody can take it');
      await run.finish();
      await load.settleAll();
      assert.equal((await receipt(load))?.succeeded, 150);
    });

    it('are not sent while somebody has them in hand', async () => {
      await under.loadAll(loadTestRecords(10));
      const [job] = under.jobs.splice(0);
      const release = await under.connection.carryOn(job?.id ?? '', 'poll');
      await under.load.start();
      await assert.rejects(under.load.beginRun(START), code('LOAD_ALREADY_RUNNING'));
      assert.equal(under.jobs.length, 0);
      release?.();
      await under.load.start();
      assert.equal(under.jobs.length, 1);
    });

    it('let another process have the load as soon as nothing else of it is left', async () => {
      const next = another();
      await under.loadAll(loadTestRecords(150));
      const [first, second] = under.jobs.splice(0);
      await under.connection.park(first?.id ?? '', 'stalled', false);
      await assert.rejects(next.load.beginRun(START), code('LOAD_ALREADY_RUNNING'));
      if (second) await under.settle(second);
      await until(() => under.load.hold === undefined, 'the load is let go');
      assert.equal(under.receipts.length, 0);

      await next.load.standIn();
      assert.equal(next.jobs.length, 0, 'parked jobs wait for a start or a trigger');
      await assert.rejects(next.load.beginRun(START), code('LOAD_UNSETTLED'));
      assert.deepEqual(
        next.jobs.map(({ id }) => id),
        [first?.id],
      );
      await next.settleAll();
      const { succeeded, apiCalls = 0 } = (await receipt(next)) ?? {};
      assert.equal(succeeded, 150);
      assert.equal(apiCalls, under.connection.session.calls + next.connection.session.calls - 2);
      assert.equal(under.receipts.length, 0);
    });

    it('are carried on by whoever sends their message again', async () => {
      await under.loadAll(loadTestRecords(10));
      const [job] = under.jobs.splice(0);
      await under.connection.park(job?.id ?? '', 'timed out', false);
      await until(() => under.load.hold === undefined, 'the load is let go');
      if (job) await under.settle(job);
      assert.equal((await receipt())?.succeeded, 10);
      assert.equal((await ledger.findJob(job?.id ?? ''))?.parkedReason, null);
    });

    it('of which the close was asked for, and that are Open all the same, are aborted by the first look', async () => {
      const { ingest } = under.connection;
      await under.loadAll(loadTestRecords(10));
      const [closed] = under.jobs.splice(0);
      const { id } = await ingest.create(INSERT_LOAD_TEST);
      const hold = under.load.hold;
      assert.ok(closed && hold);
      const job = { ...closed, id, state: 'Open', records: 0 } as const;
      await ledger.addJob(hold, {
        job,
        runId: closed.runId ?? '',
        carried: {},
        claimIds: [],
        claimParts: [],
      });
      const look = () => under.connection.look(job, new AbortController().signal);
      assert.equal((await look()).state, 'Open', 'its upload may be under way');
      await ledger.markClosing(hold, id);
      assert.equal((await look()).state, 'Aborted');
      assert.equal((await ledger.findJob(id))?.state, 'closed');
    });

    it('are known by 15 characters of their id as well', async () => {
      await under.loadAll(loadTestRecords(10));
      const [job] = under.jobs;
      const found = await under.connection.findJob(job?.id.slice(0, 15) ?? '', new AbortController().signal);
      assert.deepEqual([found.id, found.runId, found.records], [job?.id, job?.runId, 10]);
    });
  });

  describe('a stand-in', () => {
    it('is not begun while another waits for the ledger: a trigger has one before it, not one for each half minute', async () => {
      const waiting: (() => void)[] = [];
      Object.defineProperty(ledger, 'durable', { value: true });
      ledger.unsettledJobs = async () => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return [];
      };
      const standIns = Array.from({ length: 20 }, () => under.load.standIn());
      const begun = under.load.beginRun(START);
      await until(() => waiting.length > 0, 'a stand-in waits');
      for (const answer of waiting.splice(0)) answer();
      await (await begun).finish();
      await Promise.all(standIns);
      assert.equal(waiting.length, 0);

      const next = under.load.standIn();
      await until(() => waiting.length > 0, 'the next one does its work');
      for (const answer of waiting.splice(0)) answer();
      await next;
    });
  });

  describe('a load that is closed', () => {
    it('breaks its run off, though a stand-in waits for the ledger', async () => {
      const load = under;
      const run = await load.load.beginRun(START);
      await write(run, 150);
      await until(() => load.jobs.length === 1, 'the first job is closed');
      const asked = Promise.withResolvers<void>();
      ledger.jobsOfRun = () => {
        asked.resolve();
        return new Promise(() => {});
      };
      const standIn = load.load.standIn();
      await asked.promise;
      await load.load.close();
      await assert.rejects(run.loaded, code('LOAD_BROKEN_OFF'));
      await standIn;
    });

    it('takes nothing more', async () => {
      await under.load.close();
      await assert.rejects(under.load.beginRun(START), code('LOAD_BROKEN_OFF'));
      await under.load.start();
      await under.load.standIn();
    });

    it('does not wait for the job before, as a serial load does before it closes the next', async () => {
      const load = await replaced({ mode: 'serial' });
      org.jobFaults.add({ kind: 'stall' });
      const run = await load.load.beginRun(START);
      await write(run, 250);
      await until(() => requests(UPLOAD.path, 'PUT') === 2, 'the second job is uploaded');
      assert.equal(load.jobs.length, 1);
      const began = performance.now();
      await load.load.close();
      assert.ok(performance.now() - began < 2000);
      assert.equal(load.connection.watcher.size, 0, 'nobody watches for it any more');
      org.jobFaults.clear();
      const next = another();
      await next.load.start();
      await next.settleAll();
      assert.equal((await receipt(next))?.succeeded, 100);
      assert.equal(stored(), 100);
    });

    it('leaves a job that it cannot abort to whoever takes the load over', async () => {
      const load = await replaced({}, { clock: new FastClock(100) });
      const upload = org.faults.add({ ...UPLOAD, kind: 'throttle', bytesPerSecond: 100 });
      const run = await load.load.beginRun(START);
      await write(run, 101);
      await until(() => org.faults.struck(upload) > 0, 'the first job is being uploaded');
      org.faults.add({ kind: 'hang' });
      await load.load.close();
      assert.equal(org.audit.openJobs, 1);
      assert.deepEqual(load.receipts, []);

      org.faults.clear();
      const next = another();
      await next.load.start();
      assert.equal(org.audit.openJobs, 0);
      const { received, complete } = (await receipt(next)) ?? {};
      assert.deepEqual({ received, complete }, { received: 0, complete: false });
      await (await next.load.beginRun(START)).finish();
    });

    it('does not wait for Salesforce when it is taking a load over', async () => {
      org.faults.add({ ...CLOSE, kind: 'hang', from: 1 });
      const clock = new FastClock(100);
      const load = await replaced({}, { clock });
      const run = await load.load.beginRun(START);
      await write(run, 101);
      await until(() => load.load.unsettled.length === 1, 'the first job is being closed');
      await load.load.close();
      const hang = org.faults.add({ ...POLL, kind: 'hang' });
      const next = another();
      const started = next.load.start().catch((error) => error);
      await until(() => org.faults.struck(hang) > 0, 'it asks for the job');
      const began = performance.now();
      await next.load.close();
      assert.ok(performance.now() - began < 2000);
      await started;
      org.faults.clear();
      const last = another();
      await last.load.start();
      await last.settleAll();
      assert.equal((await receipt(last))?.unprocessed, 100);
    });
  });

  describe('rows of a trigger that finds a dead run', () => {
    /** Dead before its first job was closed, but for what `closed` says. */
    async function deadRun(closed: boolean): Promise<void> {
      const hold = await ledger.acquire(await loadKey());
      assert.ok(hold);
      await ledger.beginRun(hold, 'run of the dead');
      if (closed) {
        const job = aJob({ runId: 'run of the dead' });
        await ledger.addJob(hold, { job, runId: 'run of the dead', carried: {}, claimIds: [] });
        await ledger.markClosing(hold, job.id);
        await ledger.settleJob(job.id, job, aReceipt());
      }
      await hold.release();
    }

    it('are loaded, where that one had loaded nothing', async () => {
      await deadRun(false);
      await under.loadAll(loadTestRecords(10));
      assert.equal((await ledger.findRun('run of the dead'))?.state, 'ended');
      const [dead] = under.receipts.splice(0);
      assert.deepEqual([dead?.received, dead?.complete], [0, false]);
      await under.settleAll();
      assert.equal((await receipt())?.succeeded, 10);
    });

    it('are stale, where some may be loaded', async () => {
      await deadRun(true);
      await assert.rejects(under.loadAll(loadTestRecords(10)), code('LOAD_STALE'));
      assert.equal((await receipt())?.received, 10);
    });
  });

  describe('a hold', () => {
    it('is not left behind by a run that cannot begin', async () => {
      const begin = ledger.beginRun.bind(ledger);
      ledger.beginRun = () => Promise.reject(new LoadError('DB_UNAVAILABLE', 'away'));
      await assert.rejects(under.load.beginRun(START), code('DB_UNAVAILABLE'));
      ledger.beginRun = begin;
      await (await another().load.beginRun(START)).finish();
    });

    it('is not left behind by a take-over that fails', async () => {
      await under.loadAll(loadTestRecords(10));
      await under.load.close();
      const next = another();
      const jobsOfRun = ledger.jobsOfRun.bind(ledger);
      ledger.jobsOfRun = () => Promise.reject(new LoadError('DB_UNAVAILABLE', 'away'));
      await assert.rejects(next.load.start(), code('DB_UNAVAILABLE'));
      ledger.jobsOfRun = jobsOfRun;
      const last = another();
      await last.load.start();
      assert.equal(last.jobs.length, 1);
    });

    it('nor are claims, which would count as loading in this process for ever', async () => {
      const run = await under.load.beginRun(START);
      await run.write(loadTestRecords(10), INSERT_LOAD_TEST, { id: 'a replay.1', letters: undefined });
      await run.finish();
      await under.load.close();
      const next = another();
      const jobsOfRun = ledger.jobsOfRun.bind(ledger);
      const asked: boolean[] = [];
      ledger.jobsOfRun = async (runId) => {
        asked.push(claims.isLoading('a replay.1'));
        if (asked.length > 1) throw new LoadError('DB_UNAVAILABLE', 'away');
        return jobsOfRun(runId);
      };
      await assert.rejects(next.load.start(), code('DB_UNAVAILABLE'));
      assert.deepEqual(asked, [false, true]);
      assert.equal(claims.isLoading('a replay.1'), false);
    });
  });
});
