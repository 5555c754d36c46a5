import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LoadIntake, type Taken } from '../../../nodes/shared/load-intake.ts';
import type { Message } from '../../../nodes/shared/red.ts';
import { type EndState, endSequence, registerSequence } from '../../../nodes/shared/sequence-registry.ts';
import { type Org, startOrg } from '../../../sandbox/org/org.ts';
import { isLoadError } from '../../../src/errors.ts';
import { connectTo, INSERT_LOAD_TEST, LoadUnderTest, loadTestRecords } from '../../support/loads.ts';
import { until } from '../../support/until.ts';

const signal = new AbortController().signal;
const refused = (error: unknown) => isLoadError(error, 'LOAD_ALREADY_RUNNING');

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

describe('the intake of a load', () => {
  let org: Org;
  let under: LoadUnderTest;
  let intake: LoadIntake;
  let sequences = 0;

  before(async () => {
    org = await startOrg({ startDelayMs: 0 });
  });
  beforeEach(async () => {
    await org.reset();
    under = new LoadUnderTest(connectTo(org));
    intake = new LoadIntake('node', under.load, (error) => assert.fail(`in the background: ${error}`));
  });
  afterEach(() => under.close());
  after(() => org.close());

  /** As a node on the way from the sender makes it of a batch: it numbers its own groups. */
  const message = (parts: object, more: Message = {}): Message => ({
    payload: loadTestRecords(10, JSON.stringify(parts)),
    parts: { type: 'array', len: 10, ...parts },
    ...more,
  });

  function take(one: Message): Promise<Taken> {
    const records = one.payload as Record<string, unknown>[];
    const read = () => ({ rows: { records }, spec: INSERT_LOAD_TEST });
    return intake.take(one, read, signal, () => assert.fail('an array is taken at once'));
  }

  function opened(): { id: string; openedAt: number } {
    sequences += 1;
    const id = `sequence-${sequences}`;
    registerSequence(id);
    return { id, openedAt: Date.now() };
  }

  function ended(id: string, state: EndState = 'over'): void {
    endSequence(id, { state, error: undefined }, (error) => assert.fail(String(error)));
  }

  const recordsInJobs = () => under.jobs.reduce((sum, { records }) => sum + records, 0);
  const untilLoaded = (records: number) =>
    until(() => recordsInJobs() >= records, `${records} records are in closed jobs`);

  describe('a tracked sequence', () => {
    it('ends when its sender says so, not with the first group that a split or batch node on the way made', async () => {
      const mark = opened();
      const runs = new Set<string | null>();
      for (let batch = 0; batch < 3; batch += 1) {
        for (let index = 0; index < 4; index += 1) {
          const _sequence = { ...mark, index: batch };
          const { runId } = await take(message({ id: `cut-${batch}`, index, count: 4 }, { _sequence }));
          runs.add(runId);
        }
      }
      assert.equal(runs.size, 1);
      assert.deepEqual(under.jobs, []);
      ended(mark.id);
      await untilLoaded(120);
      assert.equal(recordsInJobs(), 120);
    });

    it('of another process ends at its count: no sender here says that it is over', async () => {
      const _sequence = { id: 'from elsewhere', index: 0, openedAt: Date.now() };
      const taken = [{ index: 0 }, { index: 1, count: 2 }].map((place) =>
        take(message({ id: 'parts', ...place }, { _sequence })),
      );
      await Promise.all(taken);
      assert.equal(recordsInJobs(), 20);
    });

    it('that is refused tells once, and passes without a word after that, when its sender goes on, too', async () => {
      const other = await under.load.beginRun({ openedAt: undefined, carried: {} });
      const mark = opened();
      const place = (index: number) => message({ id: 'parts', index }, { _sequence: { ...mark, index } });
      await assert.rejects(take(place(0)), refused);
      assert.deepEqual(await take(place(1)), { runId: null, rejected: [] });
      await other.finish();
      assert.deepEqual(await take(place(2)), { runId: null, rejected: [] });
      ended(mark.id);
      assert.deepEqual(await take(place(3)), { runId: null, rejected: [] });
      assert.deepEqual(under.jobs, []);
    });
  });

  describe('a sequence that nobody tracks', () => {
    it('ends when all its messages are there, also when the one that has the count overtook others', async () => {
      const places = [{ index: 0 }, { index: 2, count: 3 }, { index: 1 }];
      const taken = await Promise.all(places.map((place) => take(message({ id: 'parts', ...place }))));
      assert.equal(new Set(taken.map(({ runId }) => runId)).size, 1);
      assert.equal(recordsInJobs(), 30);
    });

    it('that is refused says so for each message, also after the load is free', async () => {
      const other = await under.load.beginRun({ openedAt: undefined, carried: {} });
      await assert.rejects(take(message({ id: 'parts', index: 0 })), refused);
      await other.finish();
      await assert.rejects(take(message({ id: 'parts', index: 1, count: 2 })), refused);
      assert.deepEqual(under.jobs, []);
    });

    it('of one message that is refused may come again', async () => {
      const alone = message({ id: 'alone', index: 0, count: 1 });
      const other = await under.load.beginRun({ openedAt: undefined, carried: {} });
      await assert.rejects(take(alone), refused);
      await other.finish();
      await take(alone);
      assert.equal(recordsInJobs(), 10);
    });
  });

  it('keeps nothing of what was refused but that it was', async () => {
    const other = await under.load.beginRun({ openedAt: undefined, carried: {} });
    const rows: WeakRef<object>[] = [];
    for (let night = 0; night < 20; night += 1) rows.push(await refusedRows(night % 2 === 0));
    await until(() => {
      collectGarbage();
      return rows.every((ref) => ref.deref() === undefined);
    }, 'the rows of all refused triggers are gone');
    await other.finish();
  });

  /** One that nobody tracks, or else one whose sender breaks it off as a refusal makes it do. */
  async function refusedRows(tracked: boolean): Promise<WeakRef<object>> {
    const mark = opened();
    const more = tracked ? { _sequence: { ...mark, index: 0 } } : {};
    const one = message({ id: mark.id, index: 0 }, more);
    await assert.rejects(take(one), refused);
    ended(mark.id, 'broken-off');
    return new WeakRef(one.payload as object);
  }
});
