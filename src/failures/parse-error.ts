import { isStatusCode } from './rules/status-codes.ts';
import { codeOfWording } from './wordings.ts';

/** An error text in its parts (reference §4.1). `innerCodes` are codes named inside the message, in their order. */
export interface ParsedError {
  errorCode: string;
  errorMessage: string;
  errorFields: string[];
  innerCodes: string[];
  /** Faults of the same record beyond the first: a REST body and, it seems, a result row can hold several. */
  further: ParsedError[];
}

/** What REST and Collections say of one fault: `errorCode` there, `statusCode` here (reference §8). */
export interface RestError {
  errorCode?: string | undefined;
  statusCode?: string | undefined;
  message?: string | undefined;
  fields?: readonly string[] | null | undefined;
}

/** Stands for the code of a text that has none and whose wording is not known. */
export const NO_CODE = 'NO_CODE';

/** Setup shows job errors behind `null:` (reference §2.2). */
const NULL_HEADS = /^(?:null:\s*)+/;
const CAPITALS = /^[A-Z][A-Z0-9_]{2,}$/;
const ASYNC_CODE = /^[A-Z][a-z]+[A-Z][A-Za-z]*$/;
const INNER_CODE = /\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g;
const FIELD_LIST = /^[\w.,]*$/;
/** The end of one fault with another behind it. How they are joined was never recorded: any of `;`, space, nothing. */
const JOINT = /:[\w.,]* ?--[;\s]*(?=[A-Z][A-Z0-9]*_[A-Z0-9_]*:)/g;

/** The head of `CODE:message`, or of the async form `Code : message`, when it is a code and not a field's label. */
function codeBefore(text: string, colon: number): string | undefined {
  const head = text.slice(0, colon).trim();
  if (CAPITALS.test(head) || isStatusCode(head)) return head;
  return text[colon - 1] === ' ' && ASYNC_CODE.test(head) ? head : undefined;
}

/** Setup shows job errors as `null:InvalidBatch : InvalidBatch : …` (reference §2.2). */
function withoutRepeats(text: string, code: string): string {
  let rest = text;
  while (rest.startsWith(`${code} : `)) rest = rest.slice(code.length + 3);
  return rest;
}

function splitCode(given: string): { code: string; rest: string } {
  const text = given.replace(NULL_HEADS, '');
  const colon = text.indexOf(':');
  if (colon === -1) {
    const isBareCode = isStatusCode(text) || (CAPITALS.test(text) && text.includes('_'));
    return isBareCode ? { code: text, rest: '' } : { code: codeOfWording(text) ?? NO_CODE, rest: text };
  }
  const code = codeBefore(text, colon);
  if (code === undefined) return { code: codeOfWording(text) ?? NO_CODE, rest: text };
  return { code, rest: withoutRepeats(text.slice(colon + 1).trim(), code) };
}

/** Takes the fields from the tail `:Field,Field --`; a message that only looks a little like it is left alone. */
function splitFields(rest: string): { message: string; fields: string[] } {
  if (!rest.endsWith('--')) return { message: rest, fields: [] };
  const end = rest.endsWith(' --') ? rest.length - 3 : rest.length - 2;
  const colon = rest.lastIndexOf(':', end);
  const list = colon === -1 ? undefined : rest.slice(colon + 1, end);
  if (list === undefined || !FIELD_LIST.test(list)) return { message: rest, fields: [] };
  return { message: rest.slice(0, colon).trim(), fields: list.split(',').filter((name) => name !== '') };
}

function innerCodesOf(message: string): string[] {
  if (!message.includes('_')) return [];
  const words = message.match(INNER_CODE);
  return words ? [...new Set(words.filter(isStatusCode))] : [];
}

function parseOne(text: string): ParsedError {
  const { code, rest } = splitCode(text.trim());
  const { message, fields } = splitFields(rest);
  return {
    errorCode: code,
    errorMessage: message,
    errorFields: fields,
    innerCodes: innerCodesOf(message),
    further: [],
  };
}

function withFurther(faults: ParsedError[]): ParsedError {
  const [first, ...further] = faults;
  return { ...(first ?? parseOne('')), further };
}

function splitFaults(text: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (const joint of text.matchAll(JOINT)) {
    const end = joint.index + joint[0].length;
    parts.push(text.slice(from, end).replace(/[;\s]+$/, ''));
    from = end;
  }
  parts.push(text.slice(from));
  return parts;
}

/**
 * Reads an error text: `sf__Error` (`CODE:message:Field,Field --`), a job's `errorMessage` (`InvalidBatch : …`), or a
 * bare message. Never throws; what it cannot tell apart stays in the message, and the code is then `NO_CODE`.
 */
export function parseError(text: string): ParsedError {
  const firstEnd = text.indexOf('--');
  const mayHoldSeveral = firstEnd !== -1 && firstEnd < text.length - 4;
  return mayHoldSeveral ? withFurther(splitFaults(text).map(parseOne)) : parseOne(text);
}

/** Reads the error array of a REST or Collections answer. No error at all gives a `NO_CODE`. */
export function parseRestErrors(errors: readonly RestError[]): ParsedError {
  return withFurther(
    errors.map((error) => {
      const message = (error.message ?? '').trim();
      return {
        errorCode: error.errorCode || error.statusCode || parseOne(message).errorCode,
        errorMessage: message,
        errorFields: [...(error.fields ?? [])],
        innerCodes: innerCodesOf(message),
        further: [],
      };
    }),
  );
}

/** The same error in the one form that `sf__Error` has, so that it reads and parses like any other. */
export function formatError(error: ParsedError): string {
  return [error, ...error.further]
    .map(({ errorCode, errorMessage, errorFields }) => {
      const tail = errorFields.length > 0 ? `${errorFields.join(',')} --` : '--';
      return `${errorCode}:${errorMessage}:${tail}`;
    })
    .join(';');
}
