import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { type Random, shuffle } from '../random.ts';

/** Writes one result file. Records leave it shuffled within windows, as no order is promised (reference §1.5). */
export class ResultWriter {
  readonly #stream: WriteStream;
  readonly #window: number;
  readonly #random: Random;
  #lines: string[] = [];

  constructor(file: string, window: number, random: Random) {
    this.#stream = createWriteStream(file);
    this.#window = window;
    this.#random = random;
  }

  /** The header line, first and never shuffled. */
  head(line: string): void {
    this.#stream.write(line);
  }

  add(line: string): void {
    this.#lines.push(line);
  }

  /** Writes what fills a window; to be awaited once per chunk of records. */
  async flush(): Promise<void> {
    if (this.#lines.length >= this.#window) {
      await this.#write();
    }
  }

  async close(): Promise<void> {
    await this.#write();
    this.#stream.end();
    await once(this.#stream, 'close');
  }

  async #write(): Promise<void> {
    const lines = this.#window > 1 ? shuffle(this.#lines, this.#random) : this.#lines;
    this.#lines = [];
    if (lines.length > 0 && !this.#stream.write(lines.join(''))) {
      await once(this.#stream, 'drain');
    }
  }
}
