/**
 * Salesforce's limits for the data of an ingest job (Bulk API 2.0 guide, "Bulk API Limits"). Characters are UTF-16 units,
 * as Salesforce's own Java counts them.
 */
export const FIELD_CHARACTERS = 32_000;
/** "A record can include a maximum of 400,000 characters for all its fields": values only, no quotes, no delimiters. */
export const RECORD_CHARACTERS = 400_000;
export const HEADER_CHARACTERS = 32_000;
export const COLUMNS = 5_000;
/** The longest field there is, a long text area. Whether a value fits a field of known length is for Salesforce to say. */
export const LONGEST_FIELD_CHARACTERS = 131_072;

/**
 * A CSV record that has no end within so many bytes is held for a quote that was never closed: far beyond what
 * Salesforce takes, and as much as is ever kept in memory of one record.
 */
export const UNENDING_RECORD_BYTES = 16 * 1024 * 1024;

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}
