import type { Audit } from '../audit.ts';
import type { Settings } from '../options.ts';
import type { Sessions } from '../sessions.ts';
import type { Handler } from './exchange.ts';
import { type Call, json, notFound, Refusal, type Reply, restError } from './reply.ts';

/** Methods of one path, and what answers them. */
export type Methods = Partial<
  Record<'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD', (call: Call) => Reply | Promise<Reply>>
>;

interface Route {
  pattern: RegExp;
  methods: Methods;
  /** Needs no token and is not counted. */
  isPublic: boolean;
}

const OLDEST_VERSION = 31;
const NEWEST_VERSION = 68;
const DATA = '/services/data';

/** Finds the handler of a path; for data paths also version, token, the day's budget and the usage header. */
export class Router {
  readonly #settings: Settings;
  readonly #sessions: Sessions;
  readonly #audit: Audit;
  readonly #routes: Route[] = [];

  constructor(settings: Settings, sessions: Sessions, audit: Audit) {
    this.#settings = settings;
    this.#sessions = sessions;
    this.#audit = audit;
  }

  /** A path without token: `:name` is a part of the path, as a parameter. */
  open(path: string, methods: Methods): void {
    this.#routes.push({ pattern: compile(path), methods, isPublic: true });
  }

  /** A path below `/services/data/vNN.0`. */
  data(path: string, methods: Methods): void {
    this.#routes.push({ pattern: compile(`${DATA}/v:version${path}`), methods, isPublic: false });
  }

  readonly handle: Handler = async (call) => {
    const found = this.#find(call.path);
    const isData = call.path.startsWith(`${DATA}/v`);
    if (!isData) {
      if (!found) {
        throw notFound();
      }
      return this.#dispatch(found.route, { ...call, params: found.params });
    }
    return this.#withUsage(await this.#data(call, found));
  };

  async #data(call: Call, found: Found | undefined): Promise<Reply> {
    try {
      if (!this.#sessions.use(call.headers.authorization)) {
        throw restError(401, 'INVALID_SESSION_ID', 'Session expired or invalid');
      }
      if (this.#audit.apiCalls >= this.#settings.apiBudget) {
        throw restError(403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.');
      }
      this.#audit.countApiCall();
      const version = checkedVersion(call.path);
      if (!found) {
        throw notFound();
      }
      return await this.#dispatch(found.route, { ...call, params: found.params, version });
    } catch (error) {
      if (error instanceof Refusal) {
        return error.reply;
      }
      throw error;
    }
  }

  #withUsage(reply: Reply): Reply {
    if (reply.status === 401) {
      return reply;
    }
    const usage = `api-usage=${this.#audit.apiCalls}/${this.#settings.apiBudget}`;
    return { ...reply, headers: { ...reply.headers, 'sforce-limit-info': usage } };
  }

  #find(path: string): Found | undefined {
    for (const route of this.#routes) {
      const match = route.pattern.exec(path);
      if (match) {
        return { route, params: decodedParams(match.groups ?? {}) };
      }
    }
    return undefined;
  }

  async #dispatch(route: Route, call: Call): Promise<Reply> {
    const method = call.method === 'HEAD' && !route.methods.HEAD ? 'GET' : call.method;
    const handler = route.methods[method as keyof Methods];
    if (!handler) {
      const allowed = Object.keys(route.methods).join(',');
      const message = `HTTP Method '${call.method}' not allowed. Allowed are ${allowed}`;
      throw new Refusal(json(405, [{ message, errorCode: 'METHOD_NOT_ALLOWED' }]));
    }
    return handler(call);
  }
}

interface Found {
  route: Route;
  params: Record<string, string>;
}

function compile(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`);
}

function decodedParams(groups: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).map(([name, text]) => [name, decodeURIComponent(text)]));
}

function checkedVersion(path: string): string {
  const version = /^\/services\/data\/v(\d+\.0)(\/|$)/.exec(path)?.[1];
  const number = Number(version);
  if (version === undefined || number > NEWEST_VERSION) {
    throw notFound();
  }
  if (number < OLDEST_VERSION) {
    throw restError(410, 'GONE', `Version ${version} of the API is retired`);
  }
  return version;
}

export const API_VERSIONS: readonly number[] = Array.from(
  { length: NEWEST_VERSION - OLDEST_VERSION + 1 },
  (_, i) => OLDEST_VERSION + i,
);
