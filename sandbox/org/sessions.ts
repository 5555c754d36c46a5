import { makeId } from './ids.ts';
import type { Settings } from './options.ts';
import { hash53 } from './random.ts';

/** Access tokens that are remembered; the oldest die first. */
const KEPT = 1000;

/** The access tokens that are good now. */
export class Sessions {
  readonly orgId = makeId('00D', 1);
  readonly userId = makeId('005', 1);
  readonly #settings: Settings;
  /** Token to requests left. */
  readonly #left = new Map<string, number>();
  #count = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** A new access token, in the form `<org id>!<secret part>` of real ones. */
  open(): string {
    this.#count++;
    const secret = [1, 2, 3, 4]
      .map((part) => hash53(`${this.#count}.${part}`, this.#settings.seed).toString(36))
      .join('.');
    const token = `${this.orgId.slice(0, 15)}!AQ${secret}`;
    this.#left.set(token, this.#settings.requestsPerToken);
    for (const oldest of this.#left.keys()) {
      if (this.#left.size <= KEPT) {
        break;
      }
      this.#left.delete(oldest);
    }
    return token;
  }

  /** True when the header carries a live token; one of the token's requests is used up. */
  use(authorization: string | undefined): boolean {
    const token = /^(?:Bearer|OAuth) (.+)$/.exec(authorization ?? '')?.[1] ?? '';
    const left = this.#left.get(token);
    if (left === undefined) {
      return false;
    }
    if (left <= 0) {
      this.#left.delete(token);
      return false;
    }
    this.#left.set(token, left - 1);
    return true;
  }

  expireAll(): void {
    this.#left.clear();
  }

  /** Tokens opened since the start: how often somebody logged in or refreshed. */
  get opened(): number {
    return this.#count;
  }
}
