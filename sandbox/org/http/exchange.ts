import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, createGzip } from 'node:zlib';
import type { Audit } from '../audit.ts';
import type { Fault, FaultKind, Faults } from '../faults.ts';
import { compactJson, type Json } from '../json.ts';
import type { Settings } from '../options.ts';
import { type Call, Refusal, type Reply, restError } from './reply.ts';
import { AnsweredEarly, ConnectionCut, counted, failingAfter, firstBytes, throttled } from './streams.ts';

/** Answers a request; what it throws as a Refusal is an answer too. */
export type Handler = (call: Call) => Promise<Reply>;

export interface ExchangeParts {
  settings: Settings;
  faults: Faults;
  audit: Audit;
  handle: Handler;
}

/** One request and its answer. */
export class Exchange {
  readonly path: string;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #parts: ExchangeParts;
  readonly #signal: AbortSignal;
  readonly #method: string;
  readonly #url: URL;
  #requestBytes = 0;
  #responseBytes = 0;
  #faults: Fault[] = [];

  constructor(request: IncomingMessage, response: ServerResponse, parts: ExchangeParts, signal: AbortSignal) {
    this.#request = request;
    this.#response = response;
    this.#parts = parts;
    this.#signal = signal;
    this.#method = request.method ?? 'GET';
    // Clients that join a base URL ending in a slash ask for `//services/…`, which would read as a host.
    this.#url = new URL((request.url ?? '/').replace(/^\/+/, '/'), 'http://org');
    this.path = this.#url.pathname.replace(/(?<=.)\/+$/, '');
    response.on('error', () => undefined);
    request.on('error', () => undefined);
  }

  get isBroken(): boolean {
    return this.#request.socket.destroyed;
  }

  /** Faults, audit, then the handler. */
  async runWatched(): Promise<void> {
    const began = performance.now();
    const at = this.#parts.settings.now();
    this.#faults = this.#parts.faults.strike(this.#method, this.path + this.#url.search);
    try {
      await this.#runWithFaults();
    } finally {
      const autoAssign = this.#request.headers['sforce-auto-assign'];
      this.#parts.audit.saw({
        at,
        method: this.#method,
        path: this.path + this.#url.search,
        status: this.#response.headersSent ? this.#response.statusCode : 0,
        requestBytes: this.#requestBytes,
        responseBytes: this.#responseBytes,
        ms: Math.round(performance.now() - began),
        ...(this.#faults[0] ? { fault: this.#faults.map((fault) => fault.kind).join('+') } : {}),
        ...(typeof autoAssign === 'string' ? { autoAssign } : {}),
      });
    }
  }

  async run(handler: Handler): Promise<void> {
    await this.#send(await this.#reply(handler, this.#body()));
  }

  #fault(kind: FaultKind): Fault | undefined {
    return this.#faults.find((fault) => fault.kind === kind);
  }

  async #runWithFaults(): Promise<void> {
    if (this.#fault('drop-before')) {
      this.#request.socket.destroy();
      return;
    }
    if (this.#fault('hang')) {
      await this.#untilClosed();
      return;
    }
    const early = this.#fault('status');
    if (early && early.bytes === undefined) {
      await this.#send(statusReply(early));
      return;
    }
    const reply = await this.#replyWithFaults(early);
    const delay = this.#fault('delay');
    if (delay) {
      await sleep(delay.ms ?? 0, undefined, { signal: this.#signal });
    }
    if (!reply || this.#fault('drop-after')) {
      this.#request.socket.destroy();
      return;
    }
    await this.#send(this.#cut(reply));
  }

  /** The handler's reply, that of a status fault in the middle of the upload, or undefined when the upload was cut. */
  async #replyWithFaults(early: Fault | undefined): Promise<Reply | undefined> {
    const cut = this.#fault('cut-upload');
    const slow = this.#fault('throttle');
    let body = this.#body();
    if (slow && slow.direction !== 'down') {
      body = throttled(body, slow.bytesPerSecond ?? 1024, this.#signal);
    }
    if (early) {
      body = failingAfter(body, early.bytes ?? 0, () => new AnsweredEarly());
    }
    if (cut) {
      body = failingAfter(body, cut.bytes ?? 0, () => new ConnectionCut());
    }
    try {
      return await this.#reply(this.#parts.handle, body);
    } catch (error) {
      if (error instanceof AnsweredEarly && early) {
        return statusReply(early);
      }
      if (error instanceof ConnectionCut) {
        return undefined;
      }
      throw error;
    }
  }

  #cut(reply: Reply): Reply {
    const cut = this.#fault('cut');
    const short = this.#fault('end-early');
    const slow = this.#fault('throttle');
    let body = bytesOf(reply.body);
    if (cut) {
      body = failingAfter(body, cut.bytes ?? 0, () => new ConnectionCut());
    }
    if (short) {
      body = firstBytes(body, short.bytes ?? 0);
    }
    if (slow?.direction === 'down') {
      body = throttled(body, slow.bytesPerSecond ?? 1024, this.#signal);
    }
    return cut || short || slow?.direction === 'down' ? { ...reply, body } : reply;
  }

  #body(): AsyncIterable<Buffer> {
    // Not destroyed when a handler stops reading: an answer in the middle of an upload still has to go out.
    return counted(this.#request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>, (bytes) => {
      this.#requestBytes += bytes;
    });
  }

  async #reply(handler: Handler, body: AsyncIterable<Buffer>): Promise<Reply> {
    const call: Call = {
      method: this.#method,
      path: this.path,
      query: this.#url.searchParams,
      headers: this.#request.headers,
      body,
      params: {},
      version: '',
    };
    try {
      return await handler(call);
    } catch (error) {
      if (error instanceof Refusal) {
        return error.reply;
      }
      if (error instanceof AnsweredEarly || error instanceof ConnectionCut || this.isBroken) {
        throw error;
      }
      console.error(error);
      return restError(500, 'UNKNOWN_EXCEPTION', `An unexpected error occurred: ${String(error)}`).reply;
    }
  }

  async #send(reply: Reply): Promise<void> {
    const response = this.#response;
    response.statusCode = reply.status;
    response.setHeader('date', new Date(this.#parts.settings.now()).toUTCString());
    for (const [name, value] of Object.entries(reply.headers)) {
      response.setHeader(name, value);
    }
    if (typeof reply.body === 'string') {
      this.#responseBytes = Buffer.byteLength(reply.body);
      response.end(reply.body);
      // What is left of an upload is read away, so that the answer reaches a client that is still sending.
      this.#request.resume();
      await this.#untilSent();
      return;
    }
    const isGzipped = this.#isGzipped();
    if (isGzipped) {
      response.setHeader('content-encoding', 'gzip');
    }
    const out = counted(reply.body, (bytes) => {
      this.#responseBytes += bytes;
    });
    response.flushHeaders();
    try {
      const source = Readable.from(out, STREAM);
      await (isGzipped ? pipeline(source, createGzip(FAST), response) : pipeline(source, response));
    } catch (error) {
      response.destroy();
      if (!(error instanceof ConnectionCut)) {
        throw error;
      }
    }
  }

  #isGzipped(): boolean {
    const accepted = /\bgzip\b/.test(String(this.#request.headers['accept-encoding'] ?? ''));
    const isCsv = String(this.#response.getHeader('content-type')).startsWith('text/csv');
    return accepted && isCsv && this.#parts.settings.gzip;
  }

  async #untilSent(): Promise<void> {
    if (!this.#response.writableFinished && !this.#response.destroyed) {
      await new Promise<void>((resolve) => this.#response.once('close', resolve).once('finish', resolve));
    }
  }

  async #untilClosed(): Promise<void> {
    this.#request.resume();
    if (!this.#response.destroyed) {
      await new Promise<void>((resolve) => this.#response.once('close', resolve));
    }
  }
}

const FAST = { level: constants.Z_BEST_SPEED } as const;
const STREAM = { objectMode: false, highWaterMark: 1024 * 1024 } as const;

async function* bytesOf(body: Reply['body']): AsyncGenerator<Buffer> {
  if (typeof body === 'string') {
    yield Buffer.from(body);
    return;
  }
  yield* body;
}

function statusReply({ status = 503, body = '', headers = {} }: Fault): Reply {
  const isText = typeof body === 'string';
  const type = isText ? 'text/html; charset=UTF-8' : 'application/json;charset=UTF-8';
  return {
    status,
    headers: { 'content-type': type, ...lowerCased(headers) },
    body: isText ? body : compactJson(body as Json),
  };
}

const lowerCased = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
