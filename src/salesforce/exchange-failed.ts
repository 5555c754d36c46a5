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

export function reasonOfFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const text = error.message || error.name;
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}
