/**
 * JSON as the org writes it. Two things that JSON.stringify cannot do: a number written with its decimal (apiVersion is
 * `60.0` on the wire), and the layout with blanks around the colon in which Bulk API 2.0 bodies were recorded.
 */
export class Decimal {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Json =
  | string
  | number
  | boolean
  | null
  | Decimal
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** One line, no blanks: core REST. Undefined properties are left out. */
export function compactJson(value: Json): string {
  if (value instanceof Decimal) {
    return value.text;
  }
  if (Array.isArray(value)) {
    return `[${value.map(compactJson).join(',')}]`;
  }
  if (value !== null && typeof value === 'object') {
    return `{${entries(value)
      .map(([key, item]) => `${JSON.stringify(key)}:${compactJson(item)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value);
}

/** Indented with two blanks and ` : ` between name and value: job information of Bulk API 2.0. */
export function prettyJson(value: Json, indent = ''): string {
  if (value instanceof Decimal) {
    return value.text;
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? '[ ]' : `[ ${value.map((item) => prettyJson(item, indent)).join(', ')} ]`;
  }
  if (value !== null && typeof value === 'object') {
    const inner = `${indent}  `;
    const lines = entries(value).map(
      ([key, item]) => `${inner}${JSON.stringify(key)} : ${prettyJson(item, inner)}`,
    );
    return lines.length === 0 ? '{ }' : `{\n${lines.join(',\n')}\n${indent}}`;
  }
  return JSON.stringify(value);
}

function entries(value: object): [string, Json][] {
  return Object.entries(value).filter((entry): entry is [string, Json] => entry[1] !== undefined);
}

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
