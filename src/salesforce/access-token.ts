import type { Clock } from '../clock.ts';
import type { LoadError } from '../errors.ts';
import { orAborted } from '../time-limit.ts';
import type { CallOptions } from './call.ts';

/** The token in force. `accepted` once an answer other than 401 came with it. */
export interface Token {
  readonly value: string;
  readonly instanceUrl: string;
  /** Identity URL, `…/id/<org id>/<user id>`. */
  readonly id: string | undefined;
  accepted: boolean;
}

/** A token being sought: what those who wait for it hear of it, and what it hears of them. */
export interface Renewal {
  /** There is none yet, and that is why. Who is out of patience gives up with the last reason. */
  failed(reason: LoadError): void;
  /** Somebody still waits. */
  readonly isWanted: boolean;
}

type Waiting = Pick<CallOptions, 'signal' | 'outageMs'>;

/**
 * One token for a connection, gained and renewed by one request at a time however many calls wait for it. A call that gives
 * up waiting, by its signal or after its own `outageMs`, does not break off what the others wait for.
 */
export class AccessToken {
  readonly #obtain: (renewal: Renewal) => Promise<Token>;
  readonly #clock: Clock;
  #token: Token | undefined;
  #pending: PendingRenewal | undefined;

  constructor(obtain: (renewal: Renewal) => Promise<Token>, clock: Clock) {
    this.#obtain = obtain;
    this.#clock = clock;
  }

  async current(waiting: Waiting): Promise<Token> {
    return this.#token ?? this.#renewOnce().wait(waiting, this.#clock);
  }

  /** After a 401 with `stale`: asks for another one unless somebody already has. */
  async renew(stale: Token, waiting: Waiting): Promise<Token> {
    if (this.#token !== undefined && this.#token !== stale) return this.#token;
    return this.#renewOnce().wait(waiting, this.#clock);
  }

  #renewOnce(): PendingRenewal {
    this.#pending ??= new PendingRenewal((renewal) =>
      this.#obtain(renewal)
        .then((token) => {
          this.#token = token;
          return token;
        })
        .finally(() => {
          this.#pending = undefined;
        }),
    );
    return this.#pending;
  }
}

class PendingRenewal implements Renewal {
  readonly #token: Promise<Token>;
  readonly #firstFailure = Promise.withResolvers<void>();
  #reason: LoadError | undefined;
  #waiting = 0;

  constructor(obtain: (renewal: Renewal) => Promise<Token>) {
    this.#token = obtain(this);
  }

  get isWanted(): boolean {
    return this.#waiting > 0;
  }

  failed(reason: LoadError): void {
    this.#reason = reason;
    this.#firstFailure.resolve();
  }

  async wait({ signal, outageMs }: Waiting, clock: Clock): Promise<Token> {
    const over = new AbortController();
    this.#waiting += 1;
    try {
      const token = outageMs === undefined ? this.#token : this.#tokenWithin(outageMs, clock, over.signal);
      return await orAborted(signal, token);
    } finally {
      this.#waiting -= 1;
      over.abort();
    }
  }

  #tokenWithin(outageMs: number, clock: Clock, over: AbortSignal): Promise<Token> {
    return new Promise((resolve, reject) => {
      this.#token.then(resolve, reject);
      this.#firstFailure.promise
        .then(() => clock.sleep(outageMs, over))
        .then(
          () => reject(this.#reason),
          () => {}, // Not waited for any more.
        );
    });
  }
}
