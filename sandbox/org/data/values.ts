import { parseDate, parseDateTime } from '../dates.ts';
import { normaliseId } from '../ids.ts';
import type { Field, FieldType } from '../model/types.ts';
import { type RowFault, rowFault } from './faults.ts';

const XSD: Partial<Record<FieldType, string>> = {
  boolean: 'xsd:boolean',
  int: 'xsd:int',
  double: 'xsd:double',
  currency: 'xsd:double',
  percent: 'xsd:double',
  date: 'xsd:date',
  datetime: 'xsd:dateTime',
};

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const INTEGER = /^[+-]?\d+$/;
const EMAIL = /^[^\s@"(),:;<>[\]\\]+@[^\s@.]+(\.[^\s@.]+)+$/;
const BOOLEANS: Record<string, string> = { true: 'true', false: 'false', '1': 'true', '0': 'false' };

/** A number as Java's Double.toString writes it, which is how result files have doubles: `9.12260031E8`, `5.0`. */
export function javaDouble(value: number): string {
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-3 && size < 1e7)) {
    return Number.isInteger(value) ? `${value}.0` : String(value);
  }
  const [mantissa = '0', exponent = '0'] = value.toExponential().split('e');
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}E${Number(exponent)}`;
}

function canonicalInt(text: string): string | undefined {
  const value = Number(text);
  return INTEGER.test(text) && value >= -2147483648 && value <= 2147483647 ? String(value) : undefined;
}

const PARSERS: Partial<Record<FieldType, (text: string) => string | undefined>> = {
  boolean: (text) => BOOLEANS[text.toLowerCase()],
  int: canonicalInt,
  double: (text) => (NUMBER.test(text) ? javaDouble(Number(text)) : undefined),
  currency: (text) => (NUMBER.test(text) ? javaDouble(Number(text)) : undefined),
  percent: (text) => (NUMBER.test(text) ? javaDouble(Number(text)) : undefined),
  date: parseDate,
  datetime: parseDateTime,
};

/** The stored form of a text for a field, or undefined when the text is no value of the field's type. */
export function parseText(field: Field, text: string): string | undefined {
  const parse = PARSERS[field.type];
  return parse ? parse(text) : text;
}

export const xsdType = (field: Field): string => XSD[field.type] ?? 'xsd:string';

/** The stored form of a JSON value, or undefined when it is of the wrong kind. */
export function parseJsonValue(field: Field, value: unknown): string | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return parseText(field, String(value));
  }
  return undefined;
}

/** A stored value as JSON has it in answers to queries and reads. */
export function jsonValue(field: Field, stored: string | null): string | number | boolean | null {
  if (stored === null) {
    return field.type === 'boolean' ? false : null;
  }
  if (field.type === 'boolean') {
    return stored === 'true';
  }
  if (field.type === 'int' || XSD[field.type] === 'xsd:double') {
    return Number(stored);
  }
  return field.type === 'datetime' ? stored.replace('Z', '+0000') : stored;
}

/** What is wrong with a well-formed value: too long, not in the picklist, no e-mail address, no id. */
export function checkValue(
  field: Field,
  value: string,
  typesOf: (id: string) => string | undefined,
): RowFault | undefined {
  if (field.length !== undefined && value.length > field.length) {
    const message = `${field.label}: data value too large: ${value.slice(0, 255)} (max length=${field.length})`;
    return rowFault('STRING_TOO_LONG', message, [field.name]);
  }
  if (field.type === 'email' && !EMAIL.test(value)) {
    return rowFault('INVALID_EMAIL_ADDRESS', `${field.label}: invalid email address: ${value}`, [field.name]);
  }
  if (field.restricted && field.picklist && !field.picklist.includes(value)) {
    const message = `${field.label}: bad value for restricted picklist field: ${value}`;
    return rowFault('INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', message, [field.name]);
  }
  if (XSD[field.type] === 'xsd:double' && Math.abs(Number(value)) >= 1e18) {
    const message = `${field.label}: value outside of valid range on numeric field: ${value}`;
    return rowFault('NUMBER_OUTSIDE_VALID_RANGE', message, [field.name]);
  }
  return field.type === 'reference' ? checkReference(field, value, typesOf) : undefined;
}

function checkReference(
  field: Field,
  value: string,
  typeOf: (id: string) => string | undefined,
): RowFault | undefined {
  if (normaliseId(value) === undefined) {
    return rowFault('MALFORMED_ID', `${field.label}: id value of incorrect type: ${value}`, [field.name]);
  }
  const type = typeOf(value);
  if (type !== undefined && !field.referenceTo?.includes(type)) {
    return rowFault('MALFORMED_ID', `${field.label}: id value of incorrect type: ${value}`, [field.name]);
  }
  return undefined;
}
