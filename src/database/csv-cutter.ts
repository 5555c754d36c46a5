const QUOTE = 0x22;
const LINE_FEED = 0x0a;

/** Whole records that go into one file. */
export interface Piece {
  bytes: Buffer;
  records: number;
  /** True when they begin a new file. */
  startsFile: boolean;
}

/**
 * Cuts a stream of CSV records, as COPY writes them (quote `"`, doubled inside; each record ends in LF), into files of at
 * most `maxBytes`, a header of `headerBytes` included. Cuts are always between records; one that is longer alone makes a file
 * of its own.
 */
export class CsvCutter {
  readonly #maxBytes: number;
  readonly #headerBytes: number;
  #fileBytes: number;
  #startsFile = true;
  #inQuotes = false;
  /** The record that the last chunk broke off in. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number, headerBytes: number) {
    this.#maxBytes = maxBytes;
    this.#headerBytes = headerBytes;
    this.#fileBytes = headerBytes;
  }

  push(chunk: Buffer): Piece[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const pieces: Piece[] = [];
    let [start, end, records] = [0, 0, 0];
    const emit = () => {
      if (end > start) pieces.push(this.#piece(bytes.subarray(start, end), records));
      [start, records] = [end, 0];
    };
    for (let at = this.#rest.length; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (byte === QUOTE) this.#inQuotes = !this.#inQuotes;
      if (byte !== LINE_FEED || this.#inQuotes) continue;
      if (this.#fileBytes + at + 1 - start > this.#maxBytes) {
        emit();
        this.#newFile();
      }
      end = at + 1;
      records += 1;
    }
    emit();
    this.#rest = bytes.subarray(end);
    return pieces;
  }

  #piece(bytes: Buffer, records: number): Piece {
    const startsFile = this.#startsFile;
    this.#startsFile = false;
    this.#fileBytes += bytes.length;
    return { bytes, records, startsFile };
  }

  #newFile(): void {
    this.#startsFile = true;
    this.#fileBytes = this.#headerBytes;
  }
}
