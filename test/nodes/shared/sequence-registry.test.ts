import assert from 'node:assert/strict';
import {
  endSequence,
  onSequenceOver,
  registerSequence,
  sequenceState,
  stopsOnError,
} from '../../../nodes/shared/sequence-registry.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const over = { state: 'over', error: undefined } as const;
const unexpected = (error: unknown) => assert.fail(String(error));

describe('the states of sequences', () => {
  it('are known until long after the end, and the first end counts', () => {
    assert.equal(sequenceState('s1'), undefined);
    registerSequence('s1');
    assert.equal(sequenceState('s1'), 'open');
    endSequence('s1', { state: 'broken-off', error: new Error('x') }, unexpected);
    endSequence('s1', over, unexpected);
    assert.equal(sequenceState('s1'), 'broken-off');
  });

  it('say whether an error breaks the sequence of a message off, or did', () => {
    registerSequence('stops');
    registerSequence('goes on', { stopsOnError: false });
    const of = (id: string) => ({ _sequence: { id, index: 0, openedAt: 0 } });
    const asked = () => [of('stops'), of('goes on'), of('unknown'), {}].map(stopsOnError);
    assert.deepEqual(asked(), [true, false, false, false]);
    endSequence('stops', { state: 'broken-off', error: undefined }, unexpected);
    assert.deepEqual(asked(), [true, false, false, false]);
    endSequence('goes on', over, unexpected);
    assert.deepEqual(asked(), [true, false, false, false]);
  });

  it('are told to whoever listens, with the error', () => {
    registerSequence('s2');
    const told: unknown[] = [];
    const error = new Error('x');
    onSequenceOver('s2', (...end) => told.push(end));
    const stop = onSequenceOver('s2', () => assert.fail('it does not listen any more'));
    stop();
    endSequence('s2', { state: 'broken-off', error }, unexpected);
    assert.deepEqual(told, [['broken-off', error]]);
  });

  it('are told one turn later to whoever asks too late, unless he stops', async () => {
    registerSequence('s3');
    endSequence('s3', over, unexpected);
    const told: unknown[] = [];
    onSequenceOver('s3', (state) => told.push(state));
    onSequenceOver('s3', () => assert.fail('it does not listen any more'))();
    assert.deepEqual(told, []);
    await turn();
    assert.deepEqual(told, ['over']);
  });

  it('are told to all, although one of them throws', () => {
    registerSequence('s4');
    const told: unknown[] = [];
    onSequenceOver('s4', () => {
      throw new Error('thrown by a listener');
    });
    onSequenceOver('s4', (state) => told.push(state));
    endSequence('s4', over, (error) => told.push(String(error)));
    assert.deepEqual(told, ['Error: thrown by a listener', 'over']);
  });

  it('are forgotten in the end', () => {
    registerSequence('old');
    endSequence('old', over, unexpected);
    for (let index = 0; index < 10_000; index += 1) {
      registerSequence(`n${index}`);
      endSequence(`n${index}`, over, unexpected);
    }
    assert.equal(sequenceState('old'), undefined);
    assert.equal(sequenceState('n9999'), 'over');
  });
});
