import fc from 'fast-check';
import { COLUMN_DELIMITERS, type ColumnDelimiter, LINE_ENDINGS, type LineEnding } from '../../src/job.ts';

/** Every property runs so often, and on the same cases each time. */
export const CASES = { numRuns: 1000, seed: 20260131 };

export const delimiters = fc.constantFrom(...(Object.keys(COLUMN_DELIMITERS) as ColumnDelimiter[]));
export const lineEndings = fc.constantFrom(...(Object.keys(LINE_ENDINGS) as LineEnding[]));

/** Text made of what CSV stumbles over, and of characters of one to four bytes. */
export const awkwardText = fc
  .array(
    fc.constantFrom(
      '"',
      '""',
      ',',
      ';',
      '|',
      '^',
      '`',
      '\t',
      '\r',
      '\n',
      '\r\n',
      ' ',
      'a',
      'Z',
      '0',
      'é',
      '€',
      '😀',
      '#N/A',
      '\uFEFF',
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

/** Names of columns, different without regard to case. */
export function columnNames(maxLength: number): fc.Arbitrary<string[]> {
  const names = fc.constantFrom(
    'Name',
    'Email__c',
    'Phone',
    'Größe__c',
    'A,B',
    'A;B',
    'Q"x',
    'Lead:Who.Email',
    '__proto__',
    'constructor',
  );
  return fc.uniqueArray(names, { minLength: 1, maxLength });
}

/** The bytes in pieces: `cuts` are positions, taken round the length. */
export function splitAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const positions = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const edges = [0, ...positions, bytes.length];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

export const cuts = fc.array(fc.nat(10_000), { maxLength: 12 });

export async function* chunked(bytes: Buffer, at: readonly number[]): AsyncGenerator<Buffer> {
  yield* splitAt(bytes, at);
}

export function withBreaks(text: string, lineEnding: LineEnding): string {
  return text.replace(/\r\n|\r|\n/g, LINE_ENDINGS[lineEnding]);
}
