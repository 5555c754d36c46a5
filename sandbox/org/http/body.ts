import { gunzipSync } from 'node:zlib';
import { isJsonObject, type JsonObject } from '../json.ts';
import { type Call, restError } from './reply.ts';

/** JSON bodies are small; more than this is refused, so that a mistake cannot fill the memory. */
const LARGEST = 16 * 1024 * 1024;

/** The whole body of a call that is known to be small. */
export async function readAll(call: Call, limit = LARGEST): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of call.body) {
    bytes += chunk.length;
    if (bytes > limit) {
      throw restError(413, 'REQUEST_ENTITY_TOO_LARGE', 'The request is larger than this resource accepts');
    }
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  return call.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
}

export async function readJson(call: Call): Promise<JsonObject> {
  const text = (await readAll(call)).toString('utf8');
  return parseJsonObject(text);
}

export function parseJsonObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw restError(400, 'JSON_PARSER_ERROR', 'The HTTP entity body is required, and must be valid JSON');
  }
  if (!isJsonObject(value)) {
    throw restError(400, 'JSON_PARSER_ERROR', 'The HTTP entity body must be a JSON object');
  }
  return value;
}
