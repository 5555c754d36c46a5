import { hash } from 'node:crypto';

const HASH_WORDS = 4;
const INITIAL_SLOTS = 1024;

/**
 * Keys of a job's failed rows (design §4): `<job id>-<hash>-<n>`. The hash covers the error and all uploaded columns by
 * name (`sf__Id` is left out: API versions before 53 do not fill it); `n` counts rows of the same hash, from 1. Reading the
 * file again, with its rows or columns in any order, gives the same keys.
 *
 * The hash is SHA-256 cut to 128 bits. What was seen is kept as these 128 bits and a count, 20 bytes a slot: 42 MB for a
 * million distinct rows, so rows never run together, whatever their number.
 */
export class FailedRowKeys {
  readonly #jobId: string;
  #columns: string[] | undefined;
  #prefixes: string[] = [];
  #words = new Uint32Array(INITIAL_SLOTS * HASH_WORDS);
  #counts = new Uint32Array(INITIAL_SLOTS);
  #distinct = 0;

  /** `columns`: all columns of the file; those of the first row when left out. */
  constructor(jobId: string, columns?: readonly string[]) {
    this.#jobId = jobId;
    if (columns) this.#useColumns(columns);
  }

  keyOf(row: Record<string, string>): string {
    const digest = hash('sha256', this.#text(row), 'hex').slice(0, HASH_WORDS * 8);
    return `${this.#jobId}-${digest}-${this.#count(digest)}`;
  }

  #useColumns(columns: readonly string[]): string[] {
    const covered = columns.filter((name) => name === 'sf__Error' || !name.startsWith('sf__')).sort();
    this.#columns = covered;
    this.#prefixes = covered.map((name) => `${name.length}:${name}=`);
    return covered;
  }

  /** Lengths in front of names and values, so that no two different rows have one text. */
  #text(row: Record<string, string>): string {
    const columns = this.#columns ?? this.#useColumns(Object.keys(row));
    let text = '';
    for (let index = 0; index < columns.length; index += 1) {
      const value = row[columns[index] as string] ?? '';
      text += `${this.#prefixes[index]}${value.length}:${value}`;
    }
    return text;
  }

  #count(digest: string): number {
    if ((this.#distinct + 1) * 5 > this.#counts.length * 4) this.#grow();
    const words = [0, 8, 16, 24].map((from) => Number.parseInt(digest.slice(from, from + 8), 16));
    const slot = findSlot(this.#words, this.#counts, words, 0);
    const seen = this.#counts[slot] ?? 0;
    if (seen === 0) {
      this.#words.set(words, slot * HASH_WORDS);
      this.#distinct += 1;
    }
    this.#counts[slot] = seen + 1;
    return seen + 1;
  }

  #grow(): void {
    const [oldWords, oldCounts] = [this.#words, this.#counts];
    this.#words = new Uint32Array(oldWords.length * 2);
    this.#counts = new Uint32Array(oldCounts.length * 2);
    for (let old = 0; old < oldCounts.length; old += 1) {
      const count = oldCounts[old] as number;
      if (count === 0) continue;
      const slot = findSlot(this.#words, this.#counts, oldWords, old * HASH_WORDS);
      this.#words.set(oldWords.subarray(old * HASH_WORDS, (old + 1) * HASH_WORDS), slot * HASH_WORDS);
      this.#counts[slot] = count;
    }
  }
}

/** The slot that holds the hash found in `wanted` at `from`, or the free one where it belongs. Slot counts are powers of 2. */
function findSlot(words: Uint32Array, counts: Uint32Array, wanted: ArrayLike<number>, from: number): number {
  const mask = counts.length - 1;
  let slot = (wanted[from] as number) & mask;
  while (counts[slot] !== 0) {
    const at = slot * HASH_WORDS;
    const isSame =
      words[at] === wanted[from] &&
      words[at + 1] === wanted[from + 1] &&
      words[at + 2] === wanted[from + 2] &&
      words[at + 3] === wanted[from + 3];
    if (isSame) return slot;
    slot = (slot + 1) & mask;
  }
  return slot;
}
