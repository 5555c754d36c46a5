import { type ErrorCode, LoadError } from '../../src/errors.ts';
import type { Red } from './red.ts';

/** Node-RED reads it from `locales/<language>/sf-bulk-forms.json`, which all nodes share, by the name of the package. */
const CATALOGUE = 'node-red-contrib-salesforce-bulk/sf-bulk-forms:runtime.';

export type Values = Record<string, string | number>;

let lookUp: Red['_'] = (key) => key;

/** Node-RED has one language for the whole process, so that one catalogue serves all nodes. Each module calls it once. */
export function useCatalogue(RED: Pick<Red, '_'>): void {
  lookUp = RED._;
}

/**
 * A fixed text in Node-RED's language. Numbers are grouped as that language writes them; what must not be is given as a
 * string. `count` chooses between singular and plural, and stands in the text as `__number__`.
 */
export function text(key: string, values: Values = {}): string {
  const written = Object.entries(values).map(([name, value]) => [name, inWriting(value)]);
  const { count } = values;
  const counted = count === undefined ? {} : { count, number: inWriting(count) };
  return lookUp(CATALOGUE + key, { ...Object.fromEntries(written), ...counted });
}

function inWriting(value: string | number): string {
  return typeof value === 'string' ? value : value.toLocaleString(lookUp(`${CATALOGUE}locale`));
}

/** Errors whose message is in Node-RED's language; those of `src/` speak English, for logs, whoever reads them. */
const translated = new WeakSet<LoadError>();

/** Notes that an error was made with a text of the catalogue. */
export function asTranslated<E extends LoadError>(error: E): E {
  translated.add(error);
  return error;
}

/** A LoadError of one of the nodes, its message `error.<key>` of the catalogue. */
export function loadError(
  code: ErrorCode,
  key: string,
  values: Values = {},
  options?: { cause?: unknown },
): LoadError {
  return asTranslated(new LoadError(code, text(`error.${key}`, values), options));
}

/** For a status: the code says most, the beginning of the message, or what the code means, the rest. */
export function statusOf(error: Error): string {
  if (!(error instanceof LoadError)) return error.message;
  const { code, message } = error;
  return translated.has(error) ? `${code}: ${message}` : text(`failed.${code}`, { message });
}
