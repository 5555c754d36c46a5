import { createReadStream } from 'node:fs';
import type { FileBody } from './call.ts';

/** Read in pieces of this size; with `silenceMs` of two minutes a line of half a kilobyte a second still counts as alive. */
const UPLOAD_CHUNK = 64 * 1024;

/** The file of an upload, piece by piece as the socket takes them. */
export async function* fileChunks(file: FileBody, silence: SilenceWatch): AsyncGenerator<Buffer> {
  silence.start();
  const chunks = createReadStream(file.path, { highWaterMark: UPLOAD_CHUNK });
  try {
    for await (const chunk of chunks) {
      silence.moved();
      yield chunk as Buffer;
    }
  } finally {
    silence.stop();
    chunks.destroy();
  }
}

/** Breaks an exchange off when its upload does not move. A timer of the machine: sockets know no driven clock. */
export class SilenceWatch {
  readonly #afterMs: number;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Error(`nothing of the upload moved for ${this.#afterMs} ms`));
    }, this.#afterMs);
  }

  moved(): void {
    this.#timer?.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
