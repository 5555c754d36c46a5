import assert from 'node:assert/strict';
import { readOptions, UsageError } from '../../../sandbox/launcher/options.ts';

describe('the command line of npm start', () => {
  const plain = { rows: 10_000, port: undefined, once: false, json: false, sink: false, twice: false };

  it('has defaults', () => {
    assert.deepEqual(readOptions([]), plain);
  });

  it('takes numbers and flags', () => {
    assert.deepEqual(readOptions(['--rows', '0', '--port=1881', '--once', '--json', '--sink', '--twice']), {
      rows: 0,
      port: 1881,
      once: true,
      json: true,
      sink: true,
      twice: true,
    });
  });

  it('gives nothing when help was asked for', () => {
    assert.equal(readOptions(['--help', '--rows', '1']), undefined);
  });

  for (const [args, says] of [
    [['--rows', 'many'], /--rows must be a whole number .* not many/],
    [['--rows', '1e3'], /--rows must be a whole number/],
    [['--rows=-1'], /--rows must be a whole number/],
    [['--port', '70000'], /--port must be a whole number from 0 to 65535/],
    [['--row', '5'], /'--row'/],
    [['5'], /'5'/],
  ] as const) {
    it(`refuses ${args.join(' ')}`, () => {
      assert.throws(
        () => readOptions([...args]),
        (error) => error instanceof UsageError && says.test(error.message),
      );
    });
  }
});
