/** One fault as Salesforce words it. `fields` holds API names; empty where the call does not say. */
export interface ApiError {
  errorCode: string;
  message: string;
  fields: string[];
}

const LONGEST_TEXT = 300;

/**
 * Reads the body of an answer that is not a success, in every spelling there is (reference bulk-api-2.md §2.1, §5, §8):
 *
 * - REST and Bulk 2.0: an array of `{errorCode, message, fields?}`, keys in any order;
 * - Collections: `{statusCode, message, fields}`;
 * - OAuth: `{error, error_description}`;
 * - the asynchronous API of old: `{exceptionCode, exceptionMessage}`;
 * - anything else (an HTML page of a proxy, nothing at all): one fault `HTTP_<status>` with the start of the text.
 */
export function parseErrorBody(status: number, text: string): ApiError[] {
  const errors = errorsIn(parseJson(text));
  if (errors.length > 0) return errors;
  return [{ errorCode: `HTTP_${status}`, message: shortText(text), fields: [] }];
}

/** The faults in one parsed body, or in the `errors` of one record's answer. */
export function errorsIn(body: unknown): ApiError[] {
  const items = Array.isArray(body) ? body : [body];
  return items.flatMap((item) => {
    const error = errorOf(item);
    return error === undefined ? [] : [error];
  });
}

/** `[{"errorCode":"X",…}]` → `X: message`; several are joined by `; `. */
export function describeErrors(errors: readonly ApiError[]): string {
  return errors
    .map(({ errorCode, message }) => (message ? `${errorCode}: ${message}` : errorCode))
    .join('; ');
}

/**
 * `INVALIDJOBSTATE`, `InvalidJobState` and `INVALID_JOB_STATE` are one code: three parts of the API spell it three ways
 * (reference §2.1 "Spelling").
 */
export function sameCode(left: string, right: string): boolean {
  return plain(left) === plain(right);
}

export function hasCode(errors: readonly ApiError[], code: string): boolean {
  return errors.some((error) => sameCode(error.errorCode, code));
}

export function isHtml(contentType: string | undefined, text: string): boolean {
  return /\bhtml\b/i.test(contentType ?? '') || /^\s*<(?:!doctype|html)\b/i.test(text);
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function plain(code: string): string {
  return code.replaceAll('_', '').toUpperCase();
}

const CODE_KEYS = ['errorCode', 'statusCode', 'error', 'exceptionCode'];
const MESSAGE_KEYS = ['message', 'error_description', 'exceptionMessage'];

function errorOf(item: unknown): ApiError | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const values = item as Record<string, unknown>;
  const code = firstText(values, CODE_KEYS);
  if (code === undefined) return undefined;
  const fields = Array.isArray(values.fields)
    ? values.fields.filter((field) => typeof field === 'string')
    : [];
  return { errorCode: code, message: firstText(values, MESSAGE_KEYS) ?? '', fields };
}

function firstText(values: Record<string, unknown>, keys: string[]): string | undefined {
  for (const key of keys) {
    const value = values[key];
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

function shortText(text: string): string {
  const words = text
    .replace(/<(script|style)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return words.length > LONGEST_TEXT ? `${words.slice(0, LONGEST_TEXT)}…` : words;
}
