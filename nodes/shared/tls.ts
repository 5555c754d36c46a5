import type { ConfigReader } from './config.ts';
import type { Node } from './red.ts';

/** Of a `tls-config` node; PEM texts. */
export interface TlsOptions {
  ca?: string;
  cert?: string;
  key?: string;
  passphrase?: string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

/** Node-RED's own node for certificates (`network/05-tls.js`): it reads files and environment variables itself. */
interface TlsConfigNode extends Node {
  addTLSOptions(options: TlsOptions): TlsOptions;
}

export function tlsOptions(properties: ConfigReader): TlsOptions | undefined {
  const node = properties.optionalNode<TlsConfigNode>('tls', 'tls-config');
  return node?.addTLSOptions({});
}
