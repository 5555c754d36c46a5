import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { Node, Red, RequestHandler } from '../../../../nodes/shared/red.ts';

type Express = ((...handling: unknown[]) => void) & Red['httpAdmin'] & { use(handler: unknown): void };

/** The web framework that Node-RED gives to nodes. */
const require = createRequire(import.meta.url);
const express: (() => Express) & { json(): unknown } = require('express');

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came
  body: any;
}

/** Admin endpoints on a real server, with the nodes that a test says are deployed. */
export class AdminServer {
  readonly nodes = new Map<string, Node>();
  /** Permissions that the caller lacks. */
  readonly denied = new Set<string>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(register: (RED: Red) => void): Promise<AdminServer> {
    const app = express();
    app.use(express.json());
    const server = createServer(app);
    const admin = new AdminServer(server);
    register(admin.#red(app));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return admin;
  }

  #red(app: Express): Red {
    const needsPermission =
      (permission: string): RequestHandler =>
      (_request, response, next) => {
        if (this.denied.has(permission)) response.status(401).end();
        else next();
      };
    const nodes = { getNode: (id: string) => this.nodes.get(id) };
    return { httpAdmin: app, auth: { needsPermission }, nodes } as unknown as Red;
  }

  deploy(id: string, type: string, properties: object): void {
    this.nodes.set(id, { id, type, ...properties } as unknown as Node);
  }

  async get(path: string): Promise<Answer> {
    return this.#ask(path, {});
  }

  async post(path: string, body: object): Promise<Answer> {
    const headers = { 'content-type': 'application/json' };
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  async #ask(path: string, init: RequestInit): Promise<Answer> {
    const { port } = this.#server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/sf-bulk/${path}`, init);
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
