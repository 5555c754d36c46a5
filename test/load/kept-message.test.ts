import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { carriedBy, keptMessage } from '../../src/load/kept-message.ts';

describe('a message that is kept', () => {
  it('carries all but what is renumbered, tracked or replaced on the way out', () => {
    const message = {
      _msgid: 'm',
      topic: 'nightly',
      payload: [1],
      parts: { id: 'p', index: 0 },
      _sequence: { id: 's' },
      filename: '/tmp/rows.csv',
      claim: { id: 'c' },
      job: { object: 'Contact' },
    };
    assert.deepEqual(carriedBy(message), { _msgid: 'm', topic: 'nightly', job: { object: 'Contact' } });
  });

  it('looks like the first one after its way through JSON, but for live objects', () => {
    const res = createServer();
    const circle: Record<string, unknown> = {};
    circle.circle = circle;
    const kept = keptMessage({
      _msgid: 'm',
      since: new Date('2026-01-01T02:00:00Z'),
      settings: { deep: [1, { b: null }] },
      res: { socket: circle },
      call: () => 1,
      nothing: undefined,
      number: 12n,
      server: res.address,
    });
    assert.deepEqual(kept, {
      _msgid: 'm',
      since: '2026-01-01T02:00:00.000Z',
      settings: { deep: [1, { b: null }] },
    });
  });

  it('is a copy', () => {
    const carried = { list: [1] };
    const kept = keptMessage(carried);
    carried.list.push(2);
    assert.deepEqual(kept, { list: [1] });
  });
});
