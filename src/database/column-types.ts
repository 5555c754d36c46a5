import pg from 'pg';

/**
 * How PostgreSQL's types arrive in a record. Nothing may be lost or shifted on the way:
 *
 * - smallint, integer, real, double precision: number; bigint, numeric, money: text, as PostgreSQL writes them
 * - boolean: boolean; bytea: Buffer; json, jsonb: what it says; arrays: arrays
 * - date: text `yyyy-MM-dd` (a JavaScript Date would move it by the time zone)
 * - timestamp with time zone: Date, to the millisecond; infinity: Infinity
 * - timestamp without time zone: text `yyyy-MM-ddTHH:mm:ss[.ffffff]`: it names no instant, and Salesforce takes no space
 * - interval, point, circle and all others: text
 */
const asText = (value: string): string => value;
const asIsoText = (value: string): string => value.replace(' ', 'T');

const DATE = 1082;
const TIMESTAMP = 1114;
const INTERVAL = 1186;
const POINT = 600;
const CIRCLE = 718;
const TEXT_ARRAY = 1009;
const DATE_ARRAY = 1182;
const TIMESTAMP_ARRAY = 1115;
const INTERVAL_ARRAY = 1187;
const POINT_ARRAY = 1017;

/** pg-types names only some type ids; these are from pg_type and fixed for ever. */
const textArray = defaultParser(TEXT_ARRAY);

const PARSERS = new Map<number, (value: string) => unknown>([
  [DATE, asText],
  [TIMESTAMP, asIsoText],
  [INTERVAL, asText],
  [POINT, asText],
  [CIRCLE, asText],
  [DATE_ARRAY, textArray],
  [TIMESTAMP_ARRAY, (value) => (textArray(value) as string[]).map(asIsoText)],
  [INTERVAL_ARRAY, textArray],
  [POINT_ARRAY, textArray],
]);

export const columnTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    (format !== 'binary' && PARSERS.get(oid)) || defaultParser(oid, format),
};

function defaultParser(oid: number, format: 'text' | 'binary' = 'text'): (value: string) => unknown {
  return pg.types.getTypeParser(oid as Parameters<typeof pg.types.getTypeParser>[0], format as 'text');
}
