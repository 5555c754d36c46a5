import assert from 'node:assert/strict';
import { JobsInHand } from '../../src/load/jobs-in-hand.ts';

describe('JobsInHand', () => {
  let jobs: JobsInHand;
  beforeEach(() => {
    jobs = new JobsInHand();
  });

  it('has a job as long as any hands have it', () => {
    const poll = jobs.take('a', 'poll');
    const results = jobs.take('a', 'results');
    poll?.();
    assert.equal(jobs.has('a'), true);
    results?.();
    assert.equal(jobs.has('a'), false);
  });

  it('gives a job to the same hands once', () => {
    const first = jobs.take('a', 'poll');
    assert.equal(jobs.take('a', 'poll'), undefined);
    assert.notEqual(jobs.take('b', 'poll'), undefined);
    first?.();
    assert.notEqual(jobs.take('a', 'poll'), undefined);
  });

  it('does not take a job from who took it since, when it is let go twice', () => {
    const first = jobs.take('a', 'poll');
    first?.();
    const second = jobs.take('a', 'poll');
    first?.();
    assert.equal(jobs.has('a'), true);
    assert.equal(jobs.take('a', 'poll'), undefined);
    second?.();
    assert.equal(jobs.has('a'), false);
  });

  it('knows who put a job into hands, while they have it', () => {
    const release = jobs.take('a', 'results', 'node 1');
    assert.equal(jobs.take('a', 'results', 'node 2'), undefined);
    assert.equal(jobs.takenBy('a', 'results'), 'node 1');
    assert.equal(jobs.takenBy('a', 'poll'), undefined);
    release?.();
    assert.equal(jobs.takenBy('a', 'results'), undefined);
  });
});
