import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  /** Text as it is; anything else as JSON. */
  body?: unknown;
  /** Destroys the socket instead. */
  drop?: boolean;
}

export type Handle = (
  request: Seen,
  response: ServerResponse,
) => Answer | undefined | Promise<Answer | undefined>;

export const ORG_ID = '00D000000000001AAA';
export const USER_ID = '005000000000001AAA';

/** A small HTTP server for what the sandbox org cannot be told to do. An answer of undefined was written by the handler. */
export class TestServer {
  readonly seen: Seen[] = [];
  readonly #server: Server;
  readonly #secure: boolean;
  handle: Handle;

  constructor(handle: Handle, tls?: ServerOptions) {
    this.handle = handle;
    this.#secure = tls !== undefined;
    const listen = (request: IncomingMessage, response: ServerResponse) => {
      this.#serve(request, response).catch(() => response.destroy());
    };
    this.#server = tls ? createSecureServer(tls, listen) : createServer(listen);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#secure ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve) => {
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  count(path: RegExp, method?: string): number {
    return this.seen.filter((seen) => path.test(seen.path) && (method ?? seen.method) === seen.method).length;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => {});
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    };
    this.seen.push(seen);
    const answer = await this.handle(seen, response);
    if (answer !== undefined) write(response, answer);
  }
}

function write(response: ServerResponse, answer: Answer): void {
  if (answer.drop) {
    response.destroy();
    return;
  }
  const { status = 200, headers = {}, body } = answer;
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json;charset=UTF-8', ...headers });
  response.end(text);
}

/** What the token endpoint says: `token-1`, `token-2`, … */
export function tokenAnswers(url: () => string): (extra?: Record<string, unknown>) => Answer {
  let count = 0;
  return (extra = {}) => {
    count += 1;
    return {
      body: {
        access_token: `token-${count}`,
        instance_url: url(),
        id: `${url()}/id/${ORG_ID}/${USER_ID}`,
        token_type: 'Bearer',
        ...extra,
      },
    };
  };
}

/** A promise and its resolve, for handlers that wait for the test. */
export function gate(): { open: () => void; opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}

export const EXPIRED: Answer = {
  status: 401,
  body: [{ message: 'Session expired or invalid', errorCode: 'INVALID_SESSION_ID' }],
};
