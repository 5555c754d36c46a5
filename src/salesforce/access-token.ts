/** The token in force. `accepted` once an answer other than 401 came with it. */
export interface Token {
  readonly value: string;
  readonly instanceUrl: string;
  /** Identity URL, `…/id/<org id>/<user id>`. */
  readonly id: string | undefined;
  accepted: boolean;
}

/**
 * One token for a connection, gained and renewed by one request at a time however many calls wait for it. A call that gives
 * up waiting does not break off what the others wait for.
 */
export class AccessToken {
  readonly #obtain: () => Promise<Token>;
  #token: Token | undefined;
  #pending: Promise<Token> | undefined;

  constructor(obtain: () => Promise<Token>) {
    this.#obtain = obtain;
  }

  async current(signal: AbortSignal | undefined): Promise<Token> {
    return this.#token ?? unlessAborted(this.#renewOnce(), signal);
  }

  /** After a 401 with `stale`: asks for another one unless somebody already has. */
  async renew(stale: Token, signal: AbortSignal | undefined): Promise<Token> {
    if (this.#token !== undefined && this.#token !== stale) return this.#token;
    return unlessAborted(this.#renewOnce(), signal);
  }

  #renewOnce(): Promise<Token> {
    this.#pending ??= this.#obtain()
      .then((token) => {
        this.#token = token;
        return token;
      })
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
