const QUOTE = 34;

/**
 * Copies chosen values of one CSV record as they are, quotes included, into another record: from `bytes` between `start`
 * and `end` (no line ending) to `target` from its beginning. The record must be well formed.
 */
export class FieldSlices {
  readonly #delimiter: number;
  readonly #sources: readonly number[];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  target = Buffer.alloc(1024);

  /** `sources`: for each value of the new record, its position in the old one. */
  constructor(delimiter: string, sources: readonly number[]) {
    this.#delimiter = delimiter.charCodeAt(0);
    this.#sources = sources;
  }

  /** Returns the length of the new record in `target`, which is good until the next call. */
  copy(bytes: Buffer, start: number, end: number): number {
    this.#find(bytes, start, end);
    this.#makeRoom();
    let to = 0;
    this.#sources.forEach((source, index) => {
      if (index > 0) to = this.target.writeUInt8(this.#delimiter, to);
      to += bytes.copy(this.target, to, this.#starts[source], this.#ends[source]);
    });
    // An empty line would be no record.
    return to === 0 ? this.target.write('""') : to;
  }

  #find(bytes: Buffer, start: number, end: number): void {
    let field = 0;
    let inQuotes = false;
    this.#starts[0] = start;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        inQuotes = !inQuotes;
      } else if (byte === this.#delimiter && !inQuotes) {
        this.#ends[field] = at;
        field += 1;
        this.#starts[field] = at + 1;
      }
    }
    this.#ends[field] = end;
  }

  #makeRoom(): void {
    let size = 2;
    for (const source of this.#sources) size += (this.#ends[source] ?? 0) - (this.#starts[source] ?? 0) + 1;
    if (this.target.length < size) this.target = Buffer.alloc(size * 2);
  }
}
