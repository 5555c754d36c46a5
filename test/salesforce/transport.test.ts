import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ExchangeFailed, SinkFailed } from '../../src/salesforce/exchange-failed.ts';
import type { HttpAnswer } from '../../src/salesforce/http-answer.ts';
import { outcomeOfFailure } from '../../src/salesforce/retry-policy.ts';
import {
  type HttpRequest,
  HttpTransport,
  MOST_CONNECTIONS,
  type Timeouts,
  type TlsOptions,
} from '../../src/salesforce/transport.ts';
import { certificates } from '../support/certificates.ts';
import { until } from '../support/until.ts';
import { TestServer } from './test-server.ts';

describe('the HTTP transport', () => {
  let directory: string;
  const closing: (() => Promise<unknown>)[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'transport-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  function transport(timeouts: Partial<Timeouts> = {}, tls?: TlsOptions): HttpTransport {
    const made = new HttpTransport({ timeouts, tls });
    closing.push(() => made.close());
    return made;
  }

  /** A server below HTTP: `serve` has the bare socket. */
  async function rawServer(serve: (socket: Socket) => void): Promise<string> {
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function request(origin: string, more: Partial<HttpRequest> = {}): HttpRequest {
    return { method: 'GET', origin, path: '/x', headers: {}, answerMs: 5_000, ...more };
  }

  async function failure(promise: Promise<unknown>): Promise<ExchangeFailed> {
    const error = await promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof ExchangeFailed, `no ExchangeFailed but ${String(error)}`);
    return error;
  }

  async function upload(bytes: number): Promise<{ path: string; bytes: number }> {
    const path = join(directory, `upload-${bytes}.csv`);
    await writeFile(path, Buffer.alloc(bytes, 'a'));
    return { path, bytes };
  }

  async function keep(answer: HttpAnswer, onChunk: (chunk: Buffer) => void = () => {}): Promise<string> {
    const path = join(directory, 'download.csv');
    await answer.toFile(path, onChunk);
    return readFile(path, 'utf8');
  }

  it('tells a request that never left from one whose answer was lost', async () => {
    const nobody = await rawServer(() => {});
    const port = new URL(nobody).port;
    await Promise.all(closing.splice(0).map((close) => close()));
    const refused = await failure(
      transport().send(request(`http://127.0.0.1:${port}`, { method: 'POST', body: 'x' })),
    );
    assert.equal(refused.sent, false);
    assert.match(refused.message, /ECONNREFUSED/);

    const deaf = await rawServer((socket) => socket.once('data', () => socket.destroy()));
    const lost = await failure(transport().send(request(deaf, { method: 'POST', body: 'x' })));
    assert.equal(lost.sent, true);
  });

  it('tells a TLS handshake that breaks from a request that was sent', async () => {
    const origin = await rawServer((socket) => socket.once('data', () => socket.destroy()));
    const broken = await failure(transport().send(request(origin.replace('http:', 'https:'))));
    assert.equal(broken.sent, false);
    assert.equal(outcomeOfFailure(broken), 'not-sent');
  });

  it('gives up on an answer that does not come', async () => {
    const origin = await rawServer(() => {});
    const error = await failure(transport().send(request(origin, { answerMs: 100 })));
    assert.equal(error.sent, true);
    assert.match(error.message, /Headers Timeout/);
  });

  it('sends a file with its length, and gets an answer that comes before the end of it', async () => {
    let head = '';
    const origin = await rawServer((socket) => {
      socket.once('data', (chunk) => {
        head = chunk.toString('latin1');
        socket.write('HTTP/1.1 503 Busy\r\ncontent-length: 4\r\ncontent-type: text/plain\r\n\r\nbusy');
        socket.resume();
      });
    });
    const answer = await transport().send(request(origin, { method: 'PUT', body: await upload(20_000_000) }));
    assert.equal(answer.status, 503);
    assert.equal(await answer.text(), 'busy');
    assert.match(head, /^PUT \/x HTTP\/1\.1\r\n/);
    assert.match(head, /content-length: 20000000/i);
    assert.doesNotMatch(head, /transfer-encoding/i);
  });

  it('breaks an upload off that nobody takes', async () => {
    const origin = await rawServer((socket) => socket.pause());
    const error = await failure(
      transport({ silenceMs: 200 }).send(
        request(origin, { method: 'PUT', body: await upload(20_000_000), answerMs: 60_000 }),
      ),
    );
    assert.equal(error.sent, true);
    assert.match(error.message, /nothing of the upload moved for 200 ms/);
  });

  it('lets an upload take far longer than the silence it would not bear', async () => {
    const size = 60_000_000;
    // More than a busy machine keeps this process waiting.
    const silenceMs = 1_500;
    let received = 0;
    // Some 20 MB/s; what the kernel's buffers swallow at once is a small part of it.
    const origin = await rawServer((socket) => {
      const take = () => {
        received += socket.read(Math.min(100_000, socket.readableLength))?.length ?? 0;
        if (received > size) socket.write('HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n');
        else timer = setTimeout(take, 5);
      };
      let timer = setTimeout(take, 5);
      socket.on('readable', () => {});
      socket.on('close', () => clearTimeout(timer));
    });
    const started = Date.now();
    const answer = await transport({ silenceMs }).send(
      request(origin, { method: 'PUT', body: await upload(size), answerMs: 20_000 }),
    );
    assert.equal(answer.status, 201);
    assert.ok(Date.now() - started > silenceMs, 'the server was not slow');
  });

  it('says lost when the connection goes in the middle of an upload', async () => {
    const origin = await rawServer((socket) => {
      let received = 0;
      socket.on('data', (chunk) => {
        received += chunk.length;
        if (received > 1_000_000) socket.destroy();
      });
    });
    const error = await failure(
      transport().send(request(origin, { method: 'PUT', body: await upload(20_000_000) })),
    );
    assert.equal(error.sent, true);
  });

  it('never completes a request whose file is shorter than announced', async () => {
    const server = await new TestServer(() => ({ status: 201 })).start();
    closing.push(() => server.stop());
    const body = await upload(1_000);
    await failure(transport().send(request(server.url, { method: 'PUT', body: { ...body, bytes: 2_000 } })));
    assert.equal(server.seen.length, 0);
  });

  const text = '"sf__Id","Name"\n"003","Zoë"\n';
  for (const [name, headers, body] of [
    ['plain', '', Buffer.from(text)],
    ['gzip', 'content-encoding: gzip\r\n', gzipSync(text)],
  ] as const) {
    it(`streams a ${name} body to a file, decoded, piece by piece`, async () => {
      const origin = await rawServer((socket) => {
        socket.once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\n${headers}transfer-encoding: chunked\r\n\r\n`);
          for (const byte of body)
            socket.write(Buffer.concat([Buffer.from('1\r\n'), Buffer.from([byte]), Buffer.from('\r\n')]));
          socket.write('0\r\n\r\n');
        });
      });
      const seen: Buffer[] = [];
      const answer = await transport().send(request(origin));
      assert.equal(await keep(answer, (chunk) => seen.push(chunk)), text);
      assert.equal(Buffer.concat(seen).toString(), text);
    });

    it(`notices a ${name} body that breaks off, chunked or with a length`, async () => {
      const half = body.subarray(0, body.length / 2);
      const ways = [
        `transfer-encoding: chunked\r\n\r\n${half.length.toString(16)}\r\n`,
        `content-length: ${body.length}\r\n\r\n`,
      ];
      for (const way of ways) {
        const origin = await rawServer((socket) => {
          socket.once('data', () => {
            socket.end(
              Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${headers}${way}`), half, Buffer.from('\r\n')]),
            );
          });
        });
        const answer = await transport().send(request(origin));
        assert.equal((await failure(keep(answer))).sent, true);
        const again = await transport().send(request(origin));
        assert.equal((await failure(again.text())).sent, true);
      }
    });
  }

  it('gives up on a body that goes silent', async () => {
    const origin = await rawServer((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'));
    });
    const answer = await transport({ silenceMs: 100 }).send(request(origin));
    assert.match((await failure(keep(answer))).message, /Body Timeout/);
  });

  it('blames a sink that throws, and not the connection', async () => {
    const server = await new TestServer(() => ({ body: 'x'.repeat(100_000) })).start();
    closing.push(() => server.stop());
    const answer = await transport().send(request(server.url));
    await assert.rejects(
      keep(answer, () => {
        throw new Error('no more');
      }),
      SinkFailed,
    );
    const other = await transport().send(request(server.url));
    await assert.rejects(
      other.toFile(join(directory, 'no', 'such', 'directory'), () => {}),
      SinkFailed,
    );
  });

  it('writes files that only their owner may read', async () => {
    const { stat } = await import('node:fs/promises');
    const server = await new TestServer(() => ({ body: 'x' })).start();
    closing.push(() => server.stop());
    const path = join(directory, 'own.csv');
    await (await transport().send(request(server.url))).toFile(path, () => {});
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('does not pretend to hold what is too long to hold', async () => {
    const origin = await rawServer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        const mebibyte = Buffer.concat([
          Buffer.from('100000\r\n'),
          Buffer.alloc(1_048_576),
          Buffer.from('\r\n'),
        ]);
        const pour = () => {
          while (!socket.destroyed && socket.write(mebibyte));
        };
        socket.on('drain', pour);
        pour();
      });
    });
    const answer = await transport().send(request(origin));
    assert.match((await failure(answer.text())).message, /longer than/);
  });

  it('gives a connection up with the body that nobody reads to its end', async () => {
    const open = new Set<Socket>();
    let zipped = Buffer.alloc(0);
    const origin = await rawServer((socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 999999999\r\n\r\n');
        socket.write(zipped);
      });
    });
    const shared = transport();
    zipped = gzipSync(randomBytes(300_000));
    for (let downloads = 0; downloads < MOST_CONNECTIONS; downloads += 1) {
      const failed = keep(await shared.send(request(origin)), () => {
        throw new Error('no more');
      });
      await assert.rejects(failed, SinkFailed);
    }
    await until(() => open.size === 0, 'the connections of the failed downloads are closed');
    zipped = gzipSync(Buffer.alloc(65 * 1_048_576));
    const { message } = await failure((await shared.send(request(origin))).text());
    assert.match(message, /longer than/);
    await until(() => open.size === 0, 'the connection of the endless answer is closed');
  });

  it('keeps connections and opens no more than 24', async () => {
    const connections = new Set<unknown>();
    let atOnce = 0;
    let most = 0;
    const server = await new TestServer(async (_seen, response) => {
      connections.add(response.socket);
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      return { body: {} };
    }).start();
    closing.push(() => server.stop());
    const shared = transport();
    await Promise.all(
      Array.from({ length: 200 }, async () => (await shared.send(request(server.url))).text()),
    );
    assert.equal(server.seen.length, 200);
    assert.ok(connections.size <= 24, `${connections.size} connections`);
    assert.ok(most > 1);
  });

  it('stops at once when it is told to', async () => {
    const server = await new TestServer(() => undefined).start();
    closing.push(() => server.stop());
    const stop = new AbortController();
    const sending = failure(transport().send(request(server.url, { signal: stop.signal })));
    await until(() => server.seen.length === 1, 'the request has come');
    stop.abort();
    assert.equal((await sending).sent, true);
  });

  describe('with TLS', () => {
    let server: TestServer;
    before(async () => {
      server = await new TestServer(() => ({ body: 'secret' }), {
        ...certificates.server,
        ca: certificates.authority,
        requestCert: true,
        rejectUnauthorized: false,
      }).start();
      server.handle = (_seen, response) => {
        const socket = response.socket as Socket & { authorized?: boolean };
        return { body: socket.authorized ? 'known client' : 'unknown client' };
      };
    });
    after(() => server.stop());

    it('refuses a server that nobody vouches for, before a byte is sent, and for good', async () => {
      const error = await failure(transport().send(request(server.url)));
      assert.equal(error.sent, false);
      assert.equal(outcomeOfFailure(error), 'untrusted');
    });

    it('trusts an authority of its own', async () => {
      const answer = await transport({}, { ca: certificates.authority }).send(request(server.url));
      assert.equal(await answer.text(), 'unknown client');
    });

    it('shows a client certificate', async () => {
      const tls = { ca: certificates.authority, ...certificates.client };
      const answer = await transport({}, tls).send(request(server.url));
      assert.equal(await answer.text(), 'known client');
    });

    it('checks nothing only where it is told to check nothing', async () => {
      const answer = await transport({}, { rejectUnauthorized: false }).send(request(server.url));
      assert.equal(answer.status, 200);
    });
  });

  describe('behind a proxy', () => {
    const saved = { ...process.env };
    afterEach(() => {
      for (const name of ['http_proxy', 'https_proxy', 'no_proxy']) delete process.env[name];
      Object.assign(process.env, saved);
    });

    it('goes through HTTP_PROXY, and past it for the hosts of NO_PROXY', async () => {
      const asked: string[] = [];
      const proxy = await new TestServer((seen) => {
        asked.push(seen.path);
        return { body: 'by proxy' };
      }).start();
      const server = await new TestServer(() => ({ body: 'direct' })).start();
      closing.push(
        () => proxy.stop(),
        () => server.stop(),
      );
      process.env.http_proxy = proxy.url;
      delete process.env.no_proxy;
      delete process.env.NO_PROXY;
      const through = await transport().send(request('http://org.example'));
      assert.equal(await through.text(), 'by proxy');
      assert.deepEqual(asked, ['http://org.example/x']);
      process.env.no_proxy = '127.0.0.1';
      const past = await transport().send(request(server.url));
      assert.equal(await past.text(), 'direct');
    });
  });
});
