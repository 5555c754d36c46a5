import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Exchange, type ExchangeParts, type Handler } from './exchange.ts';

interface Parts extends ExchangeParts {
  /** Requests to the sandbox itself: no faults, no audit. */
  admin: Handler;
}

const ADMIN = '/sandbox';
const PORT_MAX_WAIT_MS = 2000;

/** HTTP, with whatever faults were asked for, and everything written down. */
export class OrgServer {
  readonly #parts: Parts;
  readonly #server: Server;
  readonly #stop = new AbortController();

  constructor(parts: Parts) {
    this.#parts = parts;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#serve(request, response);
    };
    const { tls } = parts.settings;
    this.#server = tls ? createSecureServer(tls, listener) : createServer(listener);
    // Uploads over a slow line take as long as they take.
    this.#server.requestTimeout = 0;
    this.#server.keepAliveTimeout = 60_000;
  }

  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await Promise.race([closed, sleep(PORT_MAX_WAIT_MS, undefined, { ref: false })]);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(request, response, this.#parts, this.#stop.signal);
    try {
      await (exchange.path.startsWith(ADMIN) ? exchange.run(this.#parts.admin) : exchange.runWatched());
    } catch (error) {
      // A client that went away in the middle is everyday; anything else is a fault of the sandbox.
      if (!exchange.isBroken && !this.#stop.signal.aborted) {
        console.error(error);
      }
      response.destroy();
    }
  }
}
