import { createWriteStream } from 'node:fs';
import { type Readable, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Dispatcher } from 'undici';
import { ExchangeFailed, reasonOfFailure, SinkFailed } from './exchange-failed.ts';

const LONGEST_TEXT = 64 * 1024 * 1024;

/** Status and headers have come; the body is still to be read, by exactly one of the methods. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  text(): Promise<string>;
  /** Streams the decoded body to a new file; resolves with its length. */
  toFile(path: string, onChunk: (chunk: Buffer) => void): Promise<number>;
}

export class UndiciAnswer implements HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly #body: Dispatcher.ResponseData['body'];

  constructor(answer: Dispatcher.ResponseData) {
    this.status = answer.statusCode;
    this.headers = Object.fromEntries(
      Object.entries(answer.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : (value ?? ''),
      ]),
    );
    this.#body = answer.body;
  }

  async text(): Promise<string> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of this.#decoded()) {
        length += chunk.length;
        if (length > LONGEST_TEXT) throw new Error(`the answer is longer than ${LONGEST_TEXT} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      throw new ExchangeFailed(true, reasonOfFailure(error), error);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  async toFile(path: string, onChunk: (chunk: Buffer) => void): Promise<number> {
    let length = 0;
    // Whichever end fails first takes the other with it, by the same error: the first one is to blame.
    let blame: 'source' | 'sink' | undefined;
    const source = this.#decoded().once('error', () => {
      blame ??= 'source';
    });
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        length += chunk.length;
        try {
          onChunk(chunk);
        } catch (error) {
          blame ??= 'sink';
          done(error as Error);
          return;
        }
        done(null, chunk);
      },
    });
    const file = createWriteStream(path, { mode: 0o600 }).once('error', () => {
      blame ??= 'sink';
    });
    try {
      await pipeline(source, counted, file);
    } catch (error) {
      await closed(file);
      throw blame === 'sink'
        ? new SinkFailed(error)
        : new ExchangeFailed(true, reasonOfFailure(error), error);
    }
    return length;
  }

  #decoded(): Readable {
    if (!/\bgzip\b/i.test(this.headers['content-encoding'] ?? '')) return this.#body;
    const gunzip = createGunzip();
    const body = this.#body;
    // `pipe` alone would leave the decoder waiting when the connection breaks, and the connection when nobody reads on.
    body.on('error', (error) => gunzip.destroy(error));
    gunzip.once('close', () => body.destroy());
    return body.pipe(gunzip);
  }
}

/** Once the descriptor is given back the file may be written anew or removed. */
async function closed(file: Writable): Promise<void> {
  if (file.closed) return;
  await new Promise((resolve) => {
    file.once('close', resolve);
  });
}
