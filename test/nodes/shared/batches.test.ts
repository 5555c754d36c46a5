import assert from 'node:assert/strict';
import { markingLast, OutputSequence, readBatch } from '../../../nodes/shared/batches.ts';
import { isLoadError } from '../../../src/errors.ts';

describe('batches', () => {
  describe('of one output', () => {
    it('are numbered, and the last one tells the count', () => {
      const output = new OutputSequence({ id: 'a' });
      const parts = [output.batch({}, [{}, {}], false), output.batch({}, [{}], true)].map(
        (message) => message.parts,
      );
      assert.deepEqual(parts, [
        { id: 'a', index: 0, type: 'array', len: 2 },
        { id: 'a', index: 1, type: 'array', len: 1, count: 2 },
      ]);
      assert.equal(output.closing({}), undefined);
    });

    it('are closed by an empty one when the last was not known', () => {
      const output = new OutputSequence({ id: 'a' });
      output.batch({}, [{}], false);
      const closing = output.closing({ topic: 'kept' });
      assert.deepEqual(closing, {
        topic: 'kept',
        payload: [],
        parts: { id: 'a', index: 1, type: 'array', len: 0, count: 2 },
      });
      assert.equal(output.closing({}), undefined);
    });

    it('are one empty message when there are no rows', () => {
      const closing = new OutputSequence({ id: 'a' }).closing({});
      assert.deepEqual(closing?.payload, []);
      assert.deepEqual(closing?.parts, { id: 'a', index: 0, type: 'array', len: 0, count: 1 });
    });

    it('carry what the message had, and the sequence around them', () => {
      const outer = { id: 'outer', index: 3 };
      const message = { _msgid: 'm', topic: 't', payload: 'in', parts: outer };
      const batch = new OutputSequence({ outer }).batch(message, [{ a: 1 }], true);
      assert.equal(batch._msgid, 'm');
      assert.equal(batch.topic, 't');
      assert.deepEqual((batch.parts as { parts: unknown }).parts, outer);
      assert.equal(message.payload, 'in');
    });

    it('of two outputs have different ids', () => {
      assert.notEqual(new OutputSequence().id, new OutputSequence().id);
    });
  });

  describe('as they come in', () => {
    it('are known by their parts', () => {
      const batch = readBatch({ payload: [{ a: 1 }], parts: { id: 'x', index: 2, count: 3 } });
      assert.deepEqual(batch, { rows: [{ a: 1 }], sequenceId: 'x', index: 2, count: 3 });
    });

    it('do not know their count before the last', () => {
      assert.equal(readBatch({ payload: [], parts: { id: 'x', index: 0 } }).count, undefined);
    });

    for (const parts of [undefined, null, 'x', {}, { index: 1 }, []]) {
      it(`are alone with parts ${JSON.stringify(parts)}`, () => {
        const batch = readBatch({ payload: [{}], ...(parts === undefined ? {} : { parts }) });
        assert.deepEqual(batch, { rows: [{}], sequenceId: undefined, index: 0, count: 1 });
      });
    }

    for (const [payload, text] of [
      [undefined, /msg.payload is missing/],
      ['a,b', /msg.payload is a string/],
      [{ a: 1 }, /msg.payload is an object/],
      [Buffer.from('a'), /msg.payload is a Buffer/],
      [[{}, 7], /msg.payload\[1\] is a number/],
      [[null], /msg.payload\[0\] is missing/],
      [[['a']], /msg.payload\[0\] is an array/],
    ] as const) {
      it(`are refused: ${text.source}`, () => {
        assert.throws(
          () => readBatch({ payload }),
          (error: unknown) => isLoadError(error, 'RECORD_INVALID') && text.test(error.message),
        );
      });
    }
  });

  it('the last of a stream is told by looking one ahead', async () => {
    async function* numbers(count: number) {
      for (let index = 0; index < count; index += 1) yield index;
    }
    const seen = async (count: number) => {
      const marked = [];
      for await (const one of markingLast(numbers(count))) marked.push(one);
      return marked;
    };
    assert.deepEqual(await seen(0), []);
    assert.deepEqual(await seen(1), [{ value: 0, last: true }]);
    assert.deepEqual(await seen(3), [
      { value: 0, last: false },
      { value: 1, last: false },
      { value: 2, last: true },
    ]);
  });

  it('a stream that is left early is closed', async () => {
    let closed = false;
    async function* endless() {
      try {
        for (let index = 0; ; index += 1) yield index;
      } finally {
        closed = true;
      }
    }
    for await (const { value } of markingLast(endless())) if (value === 2) break;
    assert.ok(closed);
  });
});
