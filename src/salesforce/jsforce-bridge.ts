import { PassThrough } from 'node:stream';
import type { Connection } from 'jsforce/lib/connection.js';
import type { OAuth2, OAuth2Config } from 'jsforce/lib/oauth2.js';
import type { HttpRequest, HttpResponse } from 'jsforce/lib/types/common.js';

export type { HttpRequest, HttpResponse };

/** Carries one request of jsforce's. What it throws reaches jsforce's caller unchanged. */
export type SendForJsforce = (request: HttpRequest) => Promise<HttpResponse>;

/**
 * jsforce knows the OAuth flows and the describe calls; it speaks through our transport, which knows time-outs, TLS
 * options, proxies and repeats. Its own transport (node-fetch) repeats requests silently and takes no certificates.
 *
 * Loaded on first use, and only these parts: the whole of jsforce costs memory that a flow without a load need not pay.
 */
export async function oauth2Through(send: SendForJsforce, config: OAuth2Config): Promise<OAuth2> {
  const { OAuth2 } = await import('jsforce/lib/oauth2.js');
  const oauth2 = new OAuth2(config);
  oauth2._transport = await transportOf(send);
  return oauth2;
}

/** `instanceUrl` stands in URLs only; token and host are the sender's business. */
export async function connectionThrough(
  send: SendForJsforce,
  config: { instanceUrl: string; version: string },
): Promise<Connection> {
  const { Connection } = await import('jsforce/lib/connection.js');
  const connection = new Connection(config);
  connection._transport = await transportOf(send);
  return connection;
}

async function transportOf(send: SendForJsforce) {
  const [{ Transport }, { StreamPromise }] = await Promise.all([
    import('jsforce/lib/transport.js'),
    import('jsforce/lib/util/promise.js'),
  ]);
  class OurTransport extends Transport {
    override httpRequest(request: HttpRequest) {
      return StreamPromise.create(() => ({ stream: new PassThrough(), promise: send(request) }));
    }
  }
  return new OurTransport();
}
