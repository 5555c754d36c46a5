import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici';
import type { FileBody, HttpMethod } from './call.ts';
import { ExchangeFailed, reasonOfFailure } from './exchange-failed.ts';
import { type HttpAnswer, UndiciAnswer } from './http-answer.ts';
import { fileChunks, SilenceWatch } from './upload-body.ts';

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
export const MOST_CONNECTIONS = 24;

const USER_AGENT = 'node-red-contrib-salesforce-bulk';

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
          signal: stopSignal(request, silence),
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
  return new EnvHttpProxyAgent({
    ...options,
    requestTls: { timeout: timeouts.connectMs, ...secure },
    // Plain http is handed to the proxy as it is; https always goes through a tunnel.
    proxyTunnel: false,
  });
}

function proxyIsSet(): boolean {
  return ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY'].some((name) => process.env[name]);
}

function definedOnly(tls: TlsOptions): Record<string, string | Buffer | boolean> {
  return Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined && value !== ''));
}

function headersOf(request: HttpRequest): Record<string, string> {
  const headers: Record<string, string> = {
    'accept-encoding': 'gzip',
    'user-agent': USER_AGENT,
    ...request.headers,
  };
  if (typeof request.body === 'object') headers['content-length'] = String(request.body.bytes);
  return headers;
}

function bodyOf(body: HttpRequest['body'], silence: SilenceWatch) {
  if (typeof body !== 'object') return body;
  // An async iterable is a body to undici at run time; its types only name streams.
  return fileChunks(body, silence) as unknown as Readable;
}

function stopSignal(request: HttpRequest, silence: SilenceWatch): AbortSignal | null {
  if (typeof request.body !== 'object') return request.signal ?? null;
  return request.signal ? AbortSignal.any([request.signal, silence.signal]) : silence.signal;
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
