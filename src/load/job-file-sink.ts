import { type FileHandle, open } from 'node:fs/promises';
import { FILE_MODE, type ScratchFile, scratchError } from './scratch.ts';

const BLOCK_BYTES = 1024 * 1024;
/** The most bytes that UTF-8 needs for one UTF-16 unit. */
const BYTES_PER_UNIT = 3;

export interface SinkOptions {
  /** The header line, with its line ending. */
  header: string;
  columns: string[];
  lineEnding: string;
  /** The file's limit, header included. */
  maxBytes: number;
  /** Bytes that all such files together may take, for the message when the disk is full. */
  neededBytes: number;
  /** Blocks of memory that are of no use at the moment, shared by the files of one writer. */
  spareBlocks: Buffer[];
}

/**
 * One job file while it is written. Records are encoded straight into a block of memory; full blocks are written behind the
 * encoder's back. `put` never waits: whoever puts asks `isCongested` and then waits for `drained`, so that a few blocks at
 * most are in memory.
 */
export class JobFileSink {
  readonly file: ScratchFile;
  readonly header: string;
  readonly columns: string[];
  records = 0;
  /** Exactly what the file will hold. */
  bytes = 0;

  readonly #handle: FileHandle;
  readonly #options: SinkOptions;
  readonly #lineEnding: Buffer;
  readonly #writes: Promise<void>[] = [];
  #last: Promise<void> = Promise.resolve();
  #block: Buffer;
  #used = 0;

  private constructor(file: ScratchFile, handle: FileHandle, options: SinkOptions) {
    this.file = file;
    this.header = options.header;
    this.columns = options.columns;
    this.#handle = handle;
    this.#options = options;
    this.#lineEnding = Buffer.from(options.lineEnding);
    this.#block = this.#newBlock();
    this.bytes = this.#block.write(options.header);
    this.#used = this.bytes;
  }

  /** @throws LoadError LOAD_BROKEN_OFF; the file is removed then */
  static async open(file: ScratchFile, options: SinkOptions): Promise<JobFileSink> {
    try {
      return new JobFileSink(file, await open(file.path, 'w', FILE_MODE), options);
    } catch (error) {
      await file.remove();
      throw scratchError(error, file.path, options.neededBytes);
    }
  }

  /** Adds a record, given with its line ending. False: the file has no room for it. */
  put(line: string): boolean {
    const most = line.length * BYTES_PER_UNIT;
    if (most > BLOCK_BYTES) return this.#putLarge(Buffer.from(line));
    if (most > BLOCK_BYTES - this.#used) this.#writeBlock();
    const size = this.#block.write(line, this.#used);
    if (this.bytes + size > this.#options.maxBytes) return false;
    this.#added(size);
    return true;
  }

  /** Adds a record, given as bytes without its line ending. False: the file has no room for it. */
  putBytes(bytes: Buffer, start: number, end: number): boolean {
    const size = end - start + this.#lineEnding.length;
    if (this.bytes + size > this.#options.maxBytes) return false;
    if (size > BLOCK_BYTES)
      return this.#putLarge(Buffer.concat([bytes.subarray(start, end), this.#lineEnding]));
    if (size > BLOCK_BYTES - this.#used) this.#writeBlock();
    bytes.copy(this.#block, this.#used, start, end);
    this.#lineEnding.copy(this.#block, this.#used + end - start);
    this.#added(size);
    return true;
  }

  get isCongested(): boolean {
    return this.#writes.length > 1;
  }

  /** Waits until another block may be filled. @throws LoadError LOAD_BROKEN_OFF when the disk does not take it */
  async drained(): Promise<void> {
    while (this.isCongested) await this.#checked(this.#writes[0]);
  }

  /** Writes what is left. @throws LoadError LOAD_BROKEN_OFF; the file is removed then */
  async close(): Promise<void> {
    this.#write(this.#block.subarray(0, this.#used));
    try {
      await this.#checked(this.#last.then(() => this.#handle.close()));
      this.#options.spareBlocks.push(this.#block);
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /** Gives the file up. */
  async discard(): Promise<void> {
    // Whether its last blocks reached the disk is of no matter any more.
    await Promise.allSettled([this.#last]);
    await Promise.allSettled([this.#handle.close()]);
    await this.file.remove();
  }

  #added(size: number): void {
    this.#used += size;
    this.bytes += size;
    this.records += 1;
  }

  /** A record that fills a block alone. */
  #putLarge(bytes: Buffer): boolean {
    if (this.bytes + bytes.length > this.#options.maxBytes) return false;
    this.#writeBlock();
    this.#write(bytes);
    this.bytes += bytes.length;
    this.records += 1;
    return true;
  }

  #writeBlock(): void {
    const block = this.#block;
    this.#write(block.subarray(0, this.#used)).then(
      () => this.#options.spareBlocks.push(block),
      () => {},
    );
    this.#block = this.#newBlock();
    this.#used = 0;
  }

  #newBlock(): Buffer {
    return this.#options.spareBlocks.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  #write(bytes: Buffer): Promise<void> {
    const write = this.#last.then(() => this.#writeNow(bytes));
    // A failure is met by whoever waits for this write or for the next: drained() or close().
    write.catch(() => {});
    this.#last = write;
    this.#writes.push(write);
    return write;
  }

  async #writeNow(bytes: Buffer): Promise<void> {
    try {
      await writeAll(this.#handle, bytes);
    } finally {
      this.#writes.shift();
    }
  }

  async #checked(work: Promise<void> | undefined): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw scratchError(error, this.file.path, this.#options.neededBytes);
    }
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
}
