import { type Clock, systemClock } from '../../../src/clock.ts';
import { LoadError, reasonOf } from '../../../src/errors.ts';
import type { Node, Red, Request, RequestHandler, Response } from '../red.ts';
import { type Bounds, RateLimit } from './rate-limit.ts';

/**
 * What the editor's forms ask of the runtime. Every answer is about what is deployed: an endpoint takes the id of a node,
 * never an address or a secret, so that a browser cannot make this server connect to where it likes.
 */
export interface Endpoint {
  method: 'get' | 'post';
  /** Below `/sf-bulk`; `:id` is the node that is asked. */
  path: string;
  /** `read` for what is there; `write` for what runs something: a login, a query of the person's own. */
  permission: 'read' | 'write';
  bounds: Bounds;
  /** How long a person is kept waiting; default 15 s, for the description of a large org. */
  patienceMs?: number;
  answer(question: Question): Promise<unknown>;
}

export interface Question {
  id: string;
  request: Request;
  /** Aborted when a person would no longer wait. */
  signal: AbortSignal;
}

/** Codes that only these endpoints have; the forms have a text for each in every language. */
type AdminCode = 'NOT_DEPLOYED' | 'TOO_MANY_REQUESTS' | 'TIMEOUT' | 'INTERNAL';

export class AdminError extends Error {
  readonly code: AdminCode;
  readonly status: number;

  constructor(code: AdminCode, status: number, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AdminError';
    this.code = code;
    this.status = status;
  }
}

export function tooManyRequests(): AdminError {
  return new AdminError('TOO_MANY_REQUESTS', 429, 'Too many requests. Try again in a minute.');
}

const PATIENCE_MS = 15_000;

export function registerEndpoint(RED: Red, endpoint: Endpoint, clock: Clock = systemClock): void {
  const limit = new RateLimit(endpoint.bounds, clock);
  const allowed = RED.auth.needsPermission(`sf-bulk.${endpoint.permission}`);
  const handler: RequestHandler = (request, response) => {
    void answer(endpoint, limit, request, clock).then(
      (body) => response.json(body),
      (error: unknown) => sendError(response, error),
    );
  };
  RED.httpAdmin[endpoint.method](`/sf-bulk${endpoint.path}`, allowed, handler);
}

async function answer(
  endpoint: Endpoint,
  limit: RateLimit,
  request: Request,
  clock: Clock,
): Promise<unknown> {
  const id = request.params.id ?? '';
  const end = limit.begin(id);
  if (end === undefined) throw tooManyRequests();
  const answered = new AbortController();
  const signal = abortAfter(endpoint.patienceMs ?? PATIENCE_MS, clock, answered.signal);
  try {
    return await endpoint.answer({ id, request, signal });
  } catch (error) {
    throw signal.aborted ? new AdminError('TIMEOUT', 504, 'No answer in time.', { cause: error }) : error;
  } finally {
    answered.abort();
    end();
  }
}

/** Aborted after that time, unless `ended` is aborted before. */
function abortAfter(ms: number, clock: Clock, ended: AbortSignal): AbortSignal {
  const late = new AbortController();
  clock.sleep(ms, ended).then(
    () => late.abort(),
    () => {}, // It has ended in time.
  );
  return late.signal;
}

/** What the person wrote is wrong; anything else is wrong elsewhere. */
const OWN_FAULT = ['CONFIG_INVALID', 'DB_QUERY_FAILED'];

function sendError(response: Response, error: unknown): void {
  if (error instanceof AdminError) {
    response.status(error.status).json({ code: error.code, message: error.message });
  } else if (error instanceof LoadError) {
    const status = OWN_FAULT.includes(error.code) ? 400 : 502;
    response.status(status).json({ code: error.code, message: error.message });
  } else {
    response.status(500).json({ code: 'INTERNAL', message: reasonOf(error) });
  }
}

/** The running node of that id and type. Its own getters throw CONFIG_INVALID where its properties are wrong. */
export function deployedNode<N extends Node>(RED: Red, id: string, type: string): N {
  const node = RED.nodes.getNode(id);
  if (node?.type !== type)
    throw new AdminError('NOT_DEPLOYED', 404, 'Deploy first: this node does not run yet.');
  return node as N;
}

export function queryText(request: Request, name: string): string {
  const value = request.query[name];
  return typeof value === 'string' ? value : '';
}

/** A property of the JSON body; undefined when the body is none. */
export function bodyValue(request: Request, name: string): unknown {
  const { body } = request;
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined;
}
