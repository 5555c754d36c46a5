/** How a value stands in a query. `number` for number fields, which take no quotes. */
export type LiteralKind = 'text' | 'number';

const ESCAPES: Record<string, string> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
};

/** A quoted SOQL string (SOQL reference, "Quoted String Escape Sequences"). */
export function soqlText(value: string): string {
  return `'${value.replace(/[\\'"\n\r\t\b\f]/g, (character) => ESCAPES[character] ?? character)}'`;
}

/** Undefined for a text that is not a number: no record can have it. */
export function soqlLiteral(value: string, kind: LiteralKind): string | undefined {
  if (kind === 'text') return soqlText(value);
  return /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value.trim()) ? value.trim() : undefined;
}

/**
 * Queries `<head> (<literals>)` that each stay below `longest` characters once they stand in a URL. Salesforce takes
 * 16,384 bytes of URI and headers.
 */
export function queriesWithin(head: string, literals: readonly string[], longest = 8_000): string[] {
  const queries: string[] = [];
  let chosen: string[] = [];
  let length = encodedLength(head);
  for (const literal of literals) {
    const more = encodedLength(literal) + 3;
    if (chosen.length > 0 && length + more > longest) {
      queries.push(`${head} (${chosen.join(',')})`);
      chosen = [];
      length = encodedLength(head);
    }
    chosen.push(literal);
    length += more;
  }
  if (chosen.length > 0) queries.push(`${head} (${chosen.join(',')})`);
  return queries;
}

function encodedLength(text: string): number {
  return encodeURIComponent(text).length;
}
