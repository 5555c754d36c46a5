import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { BatchParts } from '../../../nodes/shared/batches.ts';
import type { Message } from '../../../nodes/shared/red.ts';
import { endSequence, registerSequence } from '../../../nodes/shared/sequence-registry.ts';
import { SequenceSplitter } from '../../../nodes/shared/sequence-splitter.ts';

interface Row {
  row: number;
  output: number;
}

const rowsOf = (message: Message | null | undefined) => message?.payload as Row[];
const partsOf = (message: Message | null | undefined) => message?.parts as BatchParts;
const rowsFor = (rows: Row[]) => [0, 1].map((output) => rows.filter((row) => row.output === output));
const never = () => assert.fail('nothing is sent late');

describe('a sequence that is split over two outputs', () => {
  it('is numbered and closed on each, whatever the rows and the order of arrival (500 cases)', () => {
    const batches = fc.array(fc.array(fc.nat({ max: 1 }), { maxLength: 4 }), { minLength: 1, maxLength: 8 });
    const property = fc.property(batches, fc.infiniteStream(fc.nat()), (layout, order) => {
      const splitter = new SequenceSplitter(2, never);
      const messages = layout.map((outputs, index) => ({
        topic: 'kept',
        payload: outputs.map((output, row) => ({ row: index * 10 + row, output })),
        parts: { id: 'in', index, ...(index === layout.length - 1 ? { count: layout.length } : {}) },
      }));
      const arriving = shuffled(messages, order);
      const out = arriving.map((message) => splitter.split(message, rowsFor(message.payload)));
      for (const output of [0, 1]) {
        const sent = out.map((both) => both[output]).filter((message) => message !== null);
        const expected = arriving.flatMap(({ payload }) => rowsFor(payload)[output] ?? []);
        assert.deepEqual(
          sent.flatMap((message) => message?.payload),
          expected,
        );
        assert.deepEqual(
          sent.map((message) => partsOf(message).index),
          sent.map((_, index) => index),
        );
        assert.deepEqual(sent.map((message) => partsOf(message).count).filter(Boolean), [sent.length]);
        assert.equal(partsOf(sent.at(-1)).count, sent.length);
        assert.equal(new Set(sent.map((message) => partsOf(message).id)).size, 1);
        assert.ok(sent.every((message) => message?.topic === 'kept'));
        assert.ok(sent.slice(0, -1).every((message) => rowsOf(message).length > 0));
      }
    });
    fc.assert(property, { numRuns: 500, seed: 1 });
  });

  it('gives every output one message when the batch is alone', () => {
    const out = new SequenceSplitter(2, never).split({ payload: [{ a: 1 }] }, [[], [{ a: 1 }]]);
    assert.deepEqual(
      out.map((message) => [message?.payload, partsOf(message).count]),
      [
        [[], 1],
        [[{ a: 1 }], 1],
      ],
    );
  });

  it('passes the empty batch of no rows on, on both', () => {
    const out = new SequenceSplitter(2, never).split(
      { payload: [], parts: { id: 'x', index: 0, count: 1 } },
      [[], []],
    );
    assert.deepEqual(
      out.map((message) => [message?.payload, partsOf(message).count]),
      [
        [[], 1],
        [[], 1],
      ],
    );
  });

  it('keeps sequences that mingle apart', () => {
    const splitter = new SequenceSplitter(1, never);
    const send = (id: string, index: number) =>
      partsOf(
        splitter.split({ payload: [{}], parts: { id, index, ...(index === 1 ? { count: 2 } : {}) } }, [
          [{}],
        ])[0],
      );
    const [a0, b0, a1, b1] = [send('a', 0), send('b', 0), send('a', 1), send('b', 1)];
    assert.equal(a0.id, a1.id);
    assert.equal(b0.id, b1.id);
    assert.notEqual(a0.id, b0.id);
    assert.deepEqual([a1.count, b1.count], [2, 2]);
  });

  describe('and tracked', () => {
    const batch = (id: string, index: number): Message => ({
      topic: 'kept',
      payload: [{}],
      parts: { id: 'in', index },
      _sequence: { id, index, openedAt: 0 },
    });

    it('is closed when its sender says that it is over, although the last batch never came', () => {
      const late: (Message | null)[][] = [];
      const splitter = new SequenceSplitter(2, (messages) => late.push(messages));
      registerSequence('over-early');
      splitter.split(batch('over-early', 0), [[{}], []]);
      endSequence('over-early', { state: 'over', error: undefined }, never);
      assert.deepEqual(
        late[0]?.map((message) => [
          message?.payload,
          message?.topic,
          partsOf(message).index,
          partsOf(message).count,
        ]),
        [
          [[], 'kept', 1, 2],
          [[], 'kept', 0, 1],
        ],
      );
    });

    it('is forgotten, not closed, when it was broken off, and when the node closes', () => {
      const splitter = new SequenceSplitter(2, never);
      registerSequence('broken');
      splitter.split(batch('broken', 0), [[{}], []]);
      endSequence('broken', { state: 'broken-off', error: new Error('x') }, never);
      registerSequence('closed');
      splitter.split(batch('closed', 0), [[{}], []]);
      splitter.clear();
      endSequence('closed', { state: 'over', error: undefined }, never);
    });
  });
});

function shuffled<T>(values: T[], numbers: fc.Stream<number>): T[] {
  const keyed = values.map((value) => ({ value, key: numbers.next().value ?? 0 }));
  return keyed.sort((a, b) => a.key - b.key).map(({ value }) => value);
}
