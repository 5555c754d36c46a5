import { createReadStream, createWriteStream } from 'node:fs';
import { type Readable, Transform } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import type { FileBody, HttpMethod } from './call.ts';

/** Options of a TLS connection, as `node:tls` takes them. */
export interface TlsOptions {
  ca?: string | Buffer | undefined;
  cert?: string | Buffer | undefined;
  key?: string | Buffer | undefined;
  passphrase?: string | undefined;
  servername?: string | undefined;
  rejectUnauthorized?: boolean | undefined;
}

/** Milliseconds. None is on total length: 100 MB over a slow line is no error. */
export interface Timeouts {
  connectMs: number;
  /** Until the status line, once the request is out. */
  answerMs: number;
  /** The same for calls that do something: Salesforce itself lets them run for 10 minutes (reference §3). */
  longAnswerMs: number;
  /** Nothing moves inside a body, up or down. */
  silenceMs: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  connectMs: 30_000,
  answerMs: 120_000,
  longAnswerMs: 620_000,
  silenceMs: 120_000,
};

/**
 * Salesforce refuses a call when 25 others have run for 20 seconds (5 in a Developer Edition; reference §3
 * "concurrent long calls"), so one session never has more under way.
 */
const MOST_CONNECTIONS = 24;

/** Read in pieces of this size; with `silenceMs` of two minutes a line of half a kilobyte a second still counts as alive. */
const UPLOAD_CHUNK = 64 * 1024;

const LONGEST_TEXT = 64 * 1024 * 1024;

export interface HttpRequest {
  method: HttpMethod;
  /** `https://host:port` */
  origin: string;
  /** Sent as it is: nothing in it is resolved or normalised. */
  path: string;
  headers: Record<string, string>;
  body?: string | FileBody | undefined;
  answerMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * No answer, or none to its end. `sent` tells the two apart that matter: false means that not a byte of the request left,
 * so that it was surely not processed.
 */
export class ExchangeFailed extends Error {
  readonly sent: boolean;

  constructor(sent: boolean, why: string, cause: unknown) {
    super(why, { cause });
    this.name = 'ExchangeFailed';
    this.sent = sent;
  }
}

/** A disk that is full or a sink that threw: the fault is on this side, asking Salesforce again does not help. */
export class SinkFailed extends Error {
  constructor(cause: unknown) {
    super('what was downloaded could not be kept', { cause });
    this.name = 'SinkFailed';
  }
}

/** Status and headers have come; the body is still to be read, by exactly one of the methods. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  text(): Promise<string>;
  /** Streams the decoded body to a new file; resolves with its length. */
  toFile(path: string, onChunk: (chunk: Buffer) => void): Promise<number>;
}

/**
 * One HTTP exchange, whole or failed, and nothing repeated on its own.
 *
 * Calls whose doubt matters go through here and not through jsforce, which repeats PUT and GET by itself on 5xx and
 * resets, hides the Date header of the answer, reads a whole body into memory, and does not tell an answer that was lost
 * from a request that never left.
 */
export class HttpTransport {
  readonly #dispatcher: Dispatcher;
  readonly timeouts: Timeouts;

  constructor(options: { tls?: TlsOptions | undefined; timeouts?: Partial<Timeouts> | undefined } = {}) {
    this.timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#dispatcher = createDispatcher(options.tls ?? {}, this.timeouts);
  }

  async send(request: HttpRequest): Promise<HttpAnswer> {
    let sent = false;
    const silence = new SilenceWatch(this.timeouts.silenceMs);
    try {
      const answer = await this.#dispatcher
        .compose(
          tellWhenSent(() => {
            sent = true;
          }),
        )
        .request({
          origin: request.origin,
          path: request.path,
          method: request.method,
          headers: headersOf(request),
          body: bodyOf(request.body, silence) ?? null,
          headersTimeout: request.answerMs,
          bodyTimeout: this.timeouts.silenceMs,
          signal: anySignal(request.signal, silence.signal),
        });
      return new UndiciAnswer(answer);
    } catch (error) {
      throw new ExchangeFailed(sent, reasonOfFailure(error), error);
    } finally {
      silence.stop();
    }
  }

  /** Drops what is under way. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

function createDispatcher(tls: TlsOptions, timeouts: Timeouts): Dispatcher {
  const secure = definedOnly(tls);
  const options = {
    connections: MOST_CONNECTIONS,
    connect: { timeout: timeouts.connectMs, ...secure },
    allowH2: false,
  };
  if (!proxyIsSet()) return new Agent(options);
  return new EnvHttpProxyAgent({ ...options, requestTls: { timeout: timeouts.connectMs, ...secure } });
}

function proxyIsSet(): boolean {
  return ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'].some((name) => process.env[name]);
}

function definedOnly(tls: TlsOptions): Record<string, string | Buffer | boolean> {
  return Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined && value !== ''));
}

function headersOf(request: HttpRequest): Record<string, string> {
  const headers: Record<string, string> = { 'accept-encoding': 'gzip', ...request.headers };
  if (typeof request.body === 'object') headers['content-length'] = String(request.body.bytes);
  return headers;
}

function bodyOf(body: HttpRequest['body'], silence: SilenceWatch) {
  if (typeof body !== 'object') return body;
  // An async iterable is a body to undici at run time; its types only name streams.
  return fileChunks(body, silence) as unknown as Readable;
}

async function* fileChunks(file: FileBody, silence: SilenceWatch): AsyncGenerator<Buffer> {
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
class SilenceWatch {
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

function anySignal(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}

/** undici calls `onRequestStart` right before the first byte is written to a connected socket. */
function tellWhenSent(onSent: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, {
      onRequestStart: (controller, context) => {
        onSent();
        handler.onRequestStart?.(controller, context);
      },
      onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
      onResponseStart: (...args) => handler.onResponseStart?.(...args),
      onResponseData: (...args) => handler.onResponseData?.(...args),
      onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
      onResponseError: (...args) => handler.onResponseError?.(...args),
    });
}

class UndiciAnswer implements HttpAnswer {
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
    let sinkError: unknown;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        length += chunk.length;
        try {
          onChunk(chunk);
        } catch (error) {
          sinkError = error;
          done(error as Error);
          return;
        }
        done(null, chunk);
      },
    });
    const file = createWriteStream(path, { mode: 0o600 });
    file.once('error', (error) => {
      sinkError ??= error;
    });
    try {
      await pipeline(this.#decoded(), counted, file);
    } catch (error) {
      await finished(file).catch(() => {});
      if (sinkError !== undefined && error === sinkError) throw new SinkFailed(error);
      throw new ExchangeFailed(true, reasonOfFailure(error), error);
    }
    return length;
  }

  #decoded(): Readable {
    if (!/\bgzip\b/i.test(this.headers['content-encoding'] ?? '')) return this.#body;
    const gunzip = createGunzip();
    // `pipe` alone would leave the decoder waiting when the connection breaks.
    this.#body.on('error', (error) => gunzip.destroy(error));
    return this.#body.pipe(gunzip);
  }
}

function reasonOfFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const text = error.message || error.name;
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}
