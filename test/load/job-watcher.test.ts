import assert from 'node:assert/strict';
import { isLoadError, LoadError } from '../../src/errors.ts';
import type { Job } from '../../src/job.ts';
import { JobWatcher, type WatchOptions } from '../../src/load/job-watcher.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { jobOf } from './support/jobs.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('JobWatcher', () => {
  let clock: FakeClock;
  /** When each look was made, in milliseconds from the start. */
  let looks: { at: number; id: string }[];
  let answer: (job: Job, signal: AbortSignal) => Job | Promise<Job>;
  let overBudget: boolean;
  let random: () => number;
  let watcher: JobWatcher;
  let startedAt: number;

  beforeEach(() => {
    clock = new FakeClock();
    startedAt = clock.now();
    looks = [];
    answer = (job) => job;
    overBudget = false;
    random = () => 0.5;
    watcher = new JobWatcher({
      look: async (job, signal) => {
        looks.push({ at: clock.now() - startedAt, id: job.id });
        return answer(job, signal);
      },
      clock,
      overBudget: () => overBudget,
      random: () => random(),
    });
  });

  const patience = (change: Partial<WatchOptions> = {}): WatchOptions => ({
    intervalMs: 10_000,
    maxIntervalMs: 60_000,
    timeoutMs: 0,
    stallTimeoutMs: 0,
    signal: new AbortController().signal,
    ...change,
  });

  /** The end of a watch, as it comes. */
  function watch(job: Job, change: Partial<WatchOptions> = {}) {
    const end: { job?: Job; error?: unknown } = {};
    watcher.watch(job, patience(change)).then(
      (final) => {
        end.job = final;
      },
      (error) => {
        end.error = error;
      },
    );
    return end;
  }

  /** Final from a moment on; before that it moves a little with each minute. */
  function endsAt(ms: number) {
    answer = (job) => {
      const now = clock.now() - startedAt;
      return now < ms
        ? { ...job, state: 'InProgress', numberRecordsProcessed: Math.floor(now / MINUTE) }
        : { ...job, state: 'JobComplete', numberRecordsProcessed: job.records };
    };
  }

  it('asks at most 130 times about a job of one hour, and sees its end within the interval then in force', async () => {
    for (const dice of [0, 0.25, 0.5, 0.999]) {
      looks = [];
      random = () => dice;
      startedAt = clock.now();
      endsAt(HOUR);
      const end = watch(jobOf(), { stallTimeoutMs: 10 * MINUTE });
      await clock.advance(HOUR - 1);
      assert.equal('job' in end, false);
      await clock.advance(60_000);
      assert.equal(end.job?.state, 'JobComplete');
      assert.ok(looks.length <= 130, `${looks.length} looks`);
      assert.ok(looks.length > 60, `${looks.length} looks`);
    }
  });

  it('begins at the interval and never waits longer than the longest one', async () => {
    endsAt(2 * HOUR);
    watch(jobOf());
    await clock.advance(2 * HOUR + MINUTE);
    const gaps = looks.slice(1).map(({ at }, index) => at - (looks[index]?.at ?? 0));
    assert.equal(gaps[0], 10_000);
    assert.equal(Math.max(...gaps), 60_000);
    assert.deepEqual(
      gaps,
      gaps.toSorted((a, b) => a - b),
    );
  });

  it('sees the end of a job of any length within the interval in force', async () => {
    for (const length of [1000, 15_000, 200_000, 700_000, 1_900_000]) {
      startedAt = clock.now();
      endsAt(length);
      const end = watch(jobOf());
      await clock.advance(length);
      const interval = Math.min(60_000, Math.max(10_000, length / 20));
      await clock.advance(interval * 1.06);
      assert.equal(end.job?.state, 'JobComplete', `job of ${length} ms`);
    }
  });

  it('spreads jobs that were made together', async () => {
    let dice = 0;
    random = () => {
      dice = (dice + 0.1) % 1;
      return dice;
    };
    for (let index = 0; index < 10; index += 1) watch(jobOf({ id: `750ak00000000${index}AAA` }));
    await clock.advance(10_000);
    const firsts = looks.map(({ at }) => at);
    assert.equal(new Set(firsts).size, 10);
    assert.ok(Math.min(...firsts) >= 5000 && Math.max(...firsts) <= 10_000);
    await clock.advance(10_000);
    const seconds = looks.slice(10).map(({ at }) => at);
    assert.equal(new Set(seconds).size, 10, 'they stay apart');
  });

  it('asks a fifth as often over the API budget', async () => {
    overBudget = true;
    watch(jobOf());
    await clock.advance(5 * MINUTE);
    assert.ok(looks.length <= 6, `${looks.length} looks`);
    assert.ok(looks.length >= 5, `${looks.length} looks`);
    overBudget = false;
    const before = looks.length;
    await clock.advance(6 * MINUTE);
    assert.ok(looks.length - before >= 10, 'and as often as ever when calls are left again');
  });

  it('takes a final job without asking, and shows progress of others', async () => {
    const end = watch(jobOf({ state: 'Failed' }));
    await clock.advance(0);
    assert.equal(end.job?.state, 'Failed');
    assert.equal(looks.length, 0);
    endsAt(5 * MINUTE);
    const seen: number[] = [];
    watch(jobOf(), { onProgress: ({ numberRecordsProcessed }) => seen.push(numberRecordsProcessed) });
    await clock.advance(6 * MINUTE);
    assert.deepEqual([...new Set(seen)], [0, 1, 2, 3, 4]);
    assert.equal(watcher.size, 0);
  });

  it('gives up after the time-out, also in the middle of a look that gets no answer', async () => {
    let asked: AbortSignal | undefined;
    answer = (_, signal) => {
      asked = signal;
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const end = watch(jobOf(), { timeoutMs: 30_000 });
    await clock.advance(29_000);
    assert.equal(end.error, undefined);
    await clock.advance(1000);
    assert.ok(isLoadError(end.error, 'BULK_JOB_TIMEOUT'));
    assert.match(String(end.error), /send the same message again/);
    assert.equal(asked?.aborted, true);
    assert.equal(watcher.size, 0);
    assert.equal(clock.sleeping, 0);
  });

  it('gives up a job that stands still, and not one that moves', async () => {
    const end = watch(jobOf(), { stallTimeoutMs: 2 * MINUTE });
    await clock.advance(MINUTE);
    answer = (job) => ({ ...job, numberRecordsProcessed: job.numberRecordsProcessed + 200 });
    await clock.advance(10 * MINUTE);
    assert.equal(end.error, undefined);
    answer = (job) => job;
    await clock.advance(3 * MINUTE);
    assert.ok(isLoadError(end.error, 'BULK_JOB_STALLED'));
  });

  it('counts a change of state or of the retries as movement', async () => {
    const end = watch(jobOf(), { stallTimeoutMs: 2 * MINUTE });
    for (const change of [{ state: 'InProgress' }, { retries: 1 }, { numberRecordsFailed: 1 }] as const) {
      await clock.advance(90_000);
      answer = (job) => ({ ...job, ...change });
    }
    await clock.advance(100_000);
    assert.equal(end.error, undefined);
    await clock.advance(2 * MINUTE);
    assert.ok(isLoadError(end.error, 'BULK_JOB_STALLED'));
  });

  it('counts the standstill of who came later from when it came', async () => {
    watch(jobOf());
    await clock.advance(HOUR);
    const late = watch(jobOf(), { stallTimeoutMs: 10 * MINUTE });
    await clock.advance(9 * MINUTE);
    assert.equal(late.error, undefined);
    await clock.advance(2 * MINUTE);
    assert.ok(isLoadError(late.error, 'BULK_JOB_STALLED'));
    assert.equal(watcher.size, 1, 'the other one goes on');
  });

  it('asks once for two who wait for the same job, and tells both', async () => {
    endsAt(5 * MINUTE);
    const one = watch(jobOf());
    const other = watch(jobOf(), { intervalMs: 20_000 });
    await clock.advance(4 * MINUTE);
    const alone = looks.length;
    assert.ok(alone >= 20 && alone <= 25, `${alone} looks`);
    await clock.advance(2 * MINUTE);
    assert.equal(one.job?.state, 'JobComplete');
    assert.deepEqual(other.job, one.job);
  });

  it('looks soon enough for who joins in a hurry', async () => {
    endsAt(HOUR + 5000);
    watch(jobOf());
    await clock.advance(HOUR);
    const hurried = watch(jobOf(), { intervalMs: 1000, maxIntervalMs: 2000 });
    await clock.advance(8000);
    assert.equal(hurried.job?.state, 'JobComplete');
  });

  it('leaves a job to the others when one of them stops, and ends with the last', async () => {
    const stop = [new AbortController(), new AbortController()];
    const ends = stop.map(({ signal }) => watch(jobOf(), { signal }));
    await clock.advance(MINUTE);
    stop[0]?.abort(new Error('enough'));
    await clock.advance(0);
    assert.match(String(ends[0]?.error), /enough/);
    assert.equal(watcher.size, 1);
    const before = looks.length;
    await clock.advance(MINUTE);
    assert.ok(looks.length > before);
    stop[1]?.abort(new Error('enough'));
    await clock.advance(HOUR);
    assert.equal(watcher.size, 0);
    assert.equal(clock.sleeping, 0);
  });

  it('refuses a signal that is aborted already', async () => {
    const end = watch(jobOf(), { signal: AbortSignal.abort(new Error('before')) });
    await clock.advance(0);
    assert.match(String(end.error), /before/);
    assert.equal(watcher.size, 0);
  });

  it('watches anew what was left a moment ago, still with one request for all', async () => {
    const stop = new AbortController();
    watch(jobOf(), { signal: stop.signal });
    await clock.advance(MINUTE);
    stop.abort();
    // Both come before the watching that ends has had its turn.
    watch(jobOf());
    watch(jobOf());
    await clock.advance(1000);
    watch(jobOf());
    const before = looks.length;
    await clock.advance(MINUTE);
    assert.ok(looks.length - before <= 7, `${looks.length - before} looks in a minute`);
    assert.equal(watcher.size, 1);
  });

  it('passes on what a look throws, to all who wait', async () => {
    answer = () => Promise.reject(new LoadError('BULK_JOB_GONE', 'gone'));
    const ends = [watch(jobOf()), watch(jobOf())];
    await clock.advance(10_000);
    for (const { error } of ends) assert.ok(isLoadError(error, 'BULK_JOB_GONE'));
    assert.equal(watcher.size, 0);
  });
});
