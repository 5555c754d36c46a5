import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CsvCutter } from '../../src/database/csv-cutter.ts';

const HEADER_BYTES = 7;

/** The files that the pieces make, without headers. */
function cut(text: string, chunkBytes: number, maxBytes: number): { text: string; records: number }[] {
  const cutter = new CsvCutter(maxBytes, HEADER_BYTES);
  const bytes = Buffer.from(text);
  const files: { text: string; records: number }[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    for (const piece of cutter.push(bytes.subarray(at, at + chunkBytes))) {
      if (piece.startsFile) files.push({ text: '', records: 0 });
      const file = files.at(-1);
      assert.ok(file);
      file.text += piece.bytes.toString();
      file.records += piece.records;
    }
  }
  return files;
}

describe('cutter of CSV', () => {
  it('cuts between records, before a file becomes too large', () => {
    const files = cut('a,1\nb,2\nc,3\nd,4\n', 5, HEADER_BYTES + 8);
    assert.deepEqual(files, [
      { text: 'a,1\nb,2\n', records: 2 },
      { text: 'c,3\nd,4\n', records: 2 },
    ]);
  });

  it('takes line breaks and quotes inside quotes for no end', () => {
    const files = cut('a,"1\n2"\nb,"""\n"""\n', 3, HEADER_BYTES + 10);
    assert.deepEqual(
      files.map(({ text }) => text),
      ['a,"1\n2"\n', 'b,"""\n"""\n'],
    );
  });

  it('gives a record that is longer a file of its own', () => {
    const long = `x,${'y'.repeat(100)}\n`;
    const files = cut(`a,1\n${long}b,2\n`, 7, HEADER_BYTES + 20);
    assert.deepEqual(
      files.map(({ text }) => text),
      ['a,1\n', long, 'b,2\n'],
    );
  });

  it('loses nothing and keeps to the limit, wherever the chunks end', () => {
    const field = fc.oneof(
      fc.string({ maxLength: 8 }).map((text) => text.replace(/[",\r\n]/g, '')),
      fc
        .string({ unit: fc.constantFrom('"', ',', '\n', '\r\n', 'é', 'x'), maxLength: 8 })
        .map((text) => `"${text.replaceAll('"', '""')}"`),
    );
    const record = fc.array(field, { minLength: 2, maxLength: 3 }).map((fields) => `${fields.join(',')}\n`);
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 20, max: 80 }),
        (records, chunkBytes, maxBytes) => {
          const files = cut(records.join(''), chunkBytes, maxBytes);
          assert.equal(files.map(({ text }) => text).join(''), records.join(''));
          assert.equal(
            files.reduce((sum, { records: count }) => sum + count, 0),
            records.length,
          );
          for (const { text, records: count } of files) {
            assert.ok(count === 1 || Buffer.byteLength(text) + HEADER_BYTES <= maxBytes);
          }
        },
      ),
      { seed: 7, numRuns: 1_000 },
    );
  });
});
