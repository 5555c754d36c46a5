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

/** What codes of the network mean, for people who do not know them. */
const NETWORK_REASONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host name cannot be looked up for now',
  EHOSTUNREACH: 'no way to the host',
  ENETUNREACH: 'no way to the network',
  ETIMEDOUT: 'no connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
};

/** What failed, in words, with the code and, where it is known, the address: "connection refused: connect ECONNREFUSED ::1:443". */
export function reasonOfFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const text = textOf(error);
  if (code === undefined) return text;
  const known = text.includes(code) ? text : `${text} (${code})`;
  const reason = NETWORK_REASONS[code];
  return reason === undefined || text.startsWith(reason) ? known : `${reason}: ${known}`;
}

/** A host of several addresses fails with one error for each, and none of its own. */
function textOf(error: Error): string {
  if (error.message !== '') return error.message;
  return error instanceof AggregateError ? error.errors.map(textOf).join(', ') : error.name;
}
