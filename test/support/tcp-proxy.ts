import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A network between a client and a server on 127.0.0.1 that fails on command.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  #refusing = false;
  #onAnswer: ((bytes: Buffer) => boolean) | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(target: { host: string; port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(createServer((client) => proxy.#accept(client, target)));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Both sides of every connection see it break; new ones are refused until `heal()`. */
  cut(): void {
    this.#refusing = true;
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  /** Only the clients see their connections break: the server goes on believing in them. */
  orphan(): void {
    for (const { client } of this.#pairs) {
      client.removeAllListeners('close');
      client.destroy();
    }
  }

  /** The connections there are fall silent: nobody sees an end, and nothing arrives. */
  swallow(): void {
    for (const { client, upstream } of this.#pairs) {
      client.unpipe(upstream).pause();
      upstream.pause();
    }
  }

  heal(): void {
    this.#refusing = false;
  }

  /** The next answer that `isIt` recognises is not delivered: the connection breaks instead. Resolves when it has. */
  loseAnswer(isIt: (bytes: Buffer) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#onAnswer = (bytes) => {
        if (!isIt(bytes)) return false;
        this.#onAnswer = undefined;
        resolve();
        return true;
      };
    });
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket, target: { host: string; port: number }): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const upstream = connect(target);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.pipe(upstream);
    upstream.on('data', (bytes: Buffer) => {
      if (this.#onAnswer?.(bytes) === true) client.destroy();
      else client.write(bytes);
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => {
      this.#pairs.delete(pair);
      client.destroy();
    });
  }
}
