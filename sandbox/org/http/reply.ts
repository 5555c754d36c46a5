import type { IncomingHttpHeaders } from 'node:http';
import { compactJson, type Json, prettyJson } from '../json.ts';

/** What a handler answers; the server sends it, or what a fault leaves of it. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string | AsyncIterable<Buffer>;
}

/** A request, its body still to be read. */
export interface Call {
  method: string;
  /** Path without the query, without a trailing slash. */
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: AsyncIterable<Buffer>;
  /** The parts of the path that the route names. */
  params: Record<string, string>;
  /** The API version in the path, such as `60.0`. */
  version: string;
}

const JSON_TYPE = 'application/json;charset=UTF-8';

/** JSON on one line: core REST. */
export const json = (status: number, value: Json): Reply => ({
  status,
  headers: { 'content-type': JSON_TYPE },
  body: compactJson(value),
});

/** JSON laid out as Bulk API 2.0 bodies were recorded. */
export const bulkJson = (status: number, value: Json): Reply => ({
  status,
  headers: { 'content-type': JSON_TYPE },
  body: prettyJson(value),
});

export const empty = (status: number): Reply => ({ status, headers: {}, body: '' });

/** A refusal that a handler throws. */
export class Refusal extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`HTTP ${reply.status}`);
    this.reply = reply;
  }
}

/** An error of core REST: `message` comes first (reference §2.1). */
export const restError = (
  status: number,
  errorCode: string,
  message: string,
  fields?: readonly string[],
): Refusal => new Refusal(json(status, [{ message, errorCode, ...(fields ? { fields } : {}) }]));

/** An error of Bulk API 2.0: `errorCode` comes first. */
export const bulkError = (status: number, errorCode: string, message: string): Refusal =>
  new Refusal(json(status, [{ errorCode, message }]));

export const notFound = (): Refusal => bulkError(404, 'NOT_FOUND', 'The requested resource does not exist');
