import { inspect } from 'node:util';

const REPLACEMENT = '\ufffd';

/** PostgreSQL's texts hold no NUL, and its jsonb no half of a surrogate pair: both become U+FFFD. */
export function storableText(text: string): string {
  return text.replaceAll('\0', REPLACEMENT).toWellFormed();
}

/** Nested deeper, PostgreSQL may refuse to read it, and Node.js to write it. */
const DEEPEST = 500;

/**
 * JSON that jsonb takes, keys included; bytes as base64. `changed`: a text in it could not be kept as it was. Of what is no
 * JSON (it holds itself, or is nested too deep) the text that shows it is kept.
 */
export function storableJson(value: unknown): { json: string; changed: boolean } {
  try {
    return keptJson(value);
  } catch {
    return keptJson(inspect(value, { depth: 4, maxArrayLength: 1000, maxStringLength: 100_000 }));
  }
}

function keptJson(value: unknown): { json: string; changed: boolean } {
  let changed = false;
  const keep = (text: string): string => {
    const kept = storableText(text);
    changed ||= kept !== text;
    return kept;
  };
  const depths = new WeakMap<object, number>();
  const json = JSON.stringify(value, function (this: Record<string, unknown>, key: string, item: unknown) {
    // A Buffer has been made an array of numbers before it comes here.
    const original = this[key];
    if (Buffer.isBuffer(original)) return original.toString('base64');
    if (typeof item === 'string') return keep(item);
    if (typeof item === 'bigint') return String(item);
    if (typeof item !== 'object' || item === null) return item;
    const depth = (depths.get(this) ?? 0) + 1;
    if (depth > DEEPEST) throw new RangeError('too deep');
    const kept = Array.isArray(item) ? item : withKeys(item, keep);
    depths.set(kept, depth);
    return kept;
  });
  return { json: json ?? 'null', changed };
}

function withKeys(item: object, keep: (text: string) => string): object {
  return Object.fromEntries(Object.entries(item).map(([name, of]) => [keep(name), of]));
}
