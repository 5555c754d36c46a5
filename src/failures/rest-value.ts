import { NULL_TEXT } from '../csv/encoder.ts';

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const BOOLEANS = new Map([
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
]);
/** xsd:date allows an offset, and the guide's own sample has one; a JSON date does not. */
const DATE_WITH_OFFSET = /^(\d{4}-\d{2}-\d{2})(?:Z|[+-]\d{2}:\d{2})$/;
/** Doubles keep every decimal number of so many digits. */
const SAFE_DIGITS = 15;

function significantDigits(text: string): number {
  const mantissa = text.split(/[eE]/, 1)[0] ?? '';
  return mantissa.replace(/\D/g, '').replace(/^0+/, '').length;
}

/** Salesforce takes a number as JSON text too; so a number with more digits than a double keeps goes as text. */
function numberOf(text: string): number | string {
  return NUMBER.test(text) && significantDigits(text) <= SAFE_DIGITS ? Number(text) : text;
}

type Convert = (text: string) => unknown;

const TEXT_CONVERSIONS: Record<string, Convert> = {
  boolean: (text) => BOOLEANS.get(text.toLowerCase()) ?? text,
  int: numberOf,
  long: numberOf,
  double: numberOf,
  currency: numberOf,
  percent: numberOf,
  date: (text) => DATE_WITH_OFFSET.exec(text)?.[1] ?? text,
};

function typedValue(value: unknown, type: string): unknown {
  if (value instanceof Date) {
    const text = value.toISOString();
    return type === 'date' ? text.slice(0, 10) : text;
  }
  if (typeof value === 'bigint') return numberOf(value.toString());
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

/**
 * One value as JSON has it, by its field's describe type: `undefined` means leave the field out, `null` means clear it.
 * A text that is no value of the type stays as it is: Salesforce says better than we can what is wrong with it.
 */
export function restValue(value: unknown, type: string): unknown {
  if (value === undefined || value === '') return undefined;
  if (value === NULL_TEXT) return null;
  if (typeof value !== 'string') return typedValue(value, type);
  return TEXT_CONVERSIONS[type]?.(value) ?? value;
}
