/** Dates of jobs and records: `2024-09-09T19:25:27.000+0000`, UTC, offset without a colon (reference §1.3). */
export function orgDateTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}+0000`;
}

/** The same with the milliseconds always 000, as jobs have it. */
export function jobDateTime(ms: number): string {
  return orgDateTime(Math.floor(ms / 1000) * 1000);
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})(Z|[+-]\d{2}:\d{2})?$/;
const DATE_TIME = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d{1,3})?(Z|[+-]\d{2}:?\d{2})$/;

function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** `yyyy-MM-dd` (an offset is tolerated, as in the guide's own sample), or undefined for text that is no date. */
export function parseDate(text: string): string | undefined {
  const parts = DATE.exec(text);
  if (!parts) {
    return undefined;
  }
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const valid = month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  return valid ? text.slice(0, 10) : undefined;
}

/** `yyyy-MM-ddTHH:mm:ss.SSSZ` of a dateTime with Z or an offset, or undefined. A space for the T is refused. */
export function parseDateTime(text: string): string | undefined {
  if (!DATE_TIME.test(text) || parseDate(text.slice(0, 10)) === undefined) {
    return undefined;
  }
  const ms = Date.parse(text.replace(/([+-]\d{2})(\d{2})$/, '$1:$2'));
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}
