/** A plain record on its way to Salesforce: field API name to value. A nested object is a parent reference. */
export type SourceRecord = Record<string, unknown>;

/** A flow may put anything into a batch: null, a text, a list and a Buffer are no records. */
export function isRecord(value: unknown): value is SourceRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}
