/** A plain record on its way to Salesforce: field API name to value. A nested object is a parent reference. */
export type SourceRecord = Record<string, unknown>;
