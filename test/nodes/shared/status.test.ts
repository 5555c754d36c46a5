import assert from 'node:assert/strict';
import type { NodeStatus } from '../../../nodes/shared/red.ts';
import { StatusLine } from '../../../nodes/shared/status.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the status of a node', () => {
  let clock: FakeClock;
  let shown: NodeStatus[];
  let status: StatusLine;

  beforeEach(() => {
    clock = new FakeClock();
    shown = [];
    status = new StatusLine({ status: (one) => shown.push(one) }, clock);
  });

  it('has a colour and a shape for each verb', async () => {
    for (const say of ['idle', 'working', 'waiting', 'done', 'failed'] as const) {
      status[say](say);
      await clock.advance(500);
    }
    status.cleared();
    assert.deepEqual(shown, [
      { fill: 'grey', shape: 'dot', text: 'idle' },
      { fill: 'blue', shape: 'dot', text: 'working' },
      { fill: 'yellow', shape: 'ring', text: 'waiting' },
      { fill: 'green', shape: 'dot', text: 'done' },
      { fill: 'red', shape: 'ring', text: 'failed' },
      {},
    ]);
  });

  it('is shown at once, then at most twice a second, and the last one always', async () => {
    for (let rows = 0; rows < 100; rows += 1) {
      status.working(`${rows} rows`);
      await clock.advance(20);
    }
    status.done('100 rows');
    await clock.advance(1_000);
    assert.equal(shown[0]?.text, '0 rows');
    assert.equal(shown.at(-1)?.text, '100 rows');
    assert.ok(shown.length <= 6, `${shown.length} in two seconds`);
    assert.equal(clock.sleeping, 0);
  });

  it('is not shown again when nothing has changed', async () => {
    for (let time = 0; time < 5; time += 1) {
      status.waiting('the org');
      await clock.advance(600);
    }
    assert.equal(shown.length, 1);
  });

  it('shows a change that was taken back within the half second', async () => {
    status.working('a');
    status.working('b');
    status.working('a');
    await clock.advance(500);
    assert.deepEqual(
      shown.map(({ text }) => text),
      ['a'],
    );
    status.done('c');
    assert.equal(shown.at(-1)?.text, 'c');
  });

  it('is one line of at most 60 characters', () => {
    status.failed(`two\nlines ${'x'.repeat(100)}`);
    assert.equal(shown[0]?.text?.length, 60);
    assert.match(shown[0]?.text ?? '', /^two lines x+…$/);
  });

  it('is cleared on close, and nothing follows', async () => {
    status.working('a');
    status.working('b');
    status.close();
    status.close();
    status.done('c');
    await clock.advance(10_000);
    assert.deepEqual(
      shown.map(({ text }) => text),
      ['a', undefined],
    );
    assert.equal(clock.sleeping, 0);
  });
});
