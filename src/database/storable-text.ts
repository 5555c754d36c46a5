const REPLACEMENT = '\ufffd';

/** PostgreSQL's texts hold no NUL, and its jsonb no half of a surrogate pair: both become U+FFFD. */
export function storableText(text: string): string {
  return text.replaceAll('\0', REPLACEMENT).toWellFormed();
}

/** JSON that jsonb takes, keys included; bytes as base64. `changed`: a text in it could not be kept as it was. */
export function storableJson(value: unknown): { json: string; changed: boolean } {
  let changed = false;
  const keep = (text: string): string => {
    const kept = storableText(text);
    changed ||= kept !== text;
    return kept;
  };
  const json = JSON.stringify(value, function (this: Record<string, unknown>, key: string, item: unknown) {
    // A Buffer has been made an array of numbers before it comes here.
    const original = this[key];
    if (Buffer.isBuffer(original)) return original.toString('base64');
    if (typeof item === 'string') return keep(item);
    if (typeof item === 'bigint') return String(item);
    return isPlainObject(item)
      ? Object.fromEntries(Object.entries(item).map(([name, of]) => [keep(name), of]))
      : item;
  });
  return { json: json ?? 'null', changed };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
