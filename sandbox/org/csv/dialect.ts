/** The six delimiters and two line endings that a job can declare (reference §1.1). */
export const DELIMITERS = {
  BACKQUOTE: '`',
  CARET: '^',
  COMMA: ',',
  PIPE: '|',
  SEMICOLON: ';',
  TAB: '\t',
} as const;

export const LINE_ENDINGS = { LF: '\n', CRLF: '\r\n' } as const;

export type ColumnDelimiter = keyof typeof DELIMITERS;
export type LineEnding = keyof typeof LINE_ENDINGS;

/** What the org does about a line break inside a quoted value (an open question, reference §4). */
export type EmbeddedBreaks = 'declared' | 'any' | 'none';

export const isDelimiter = (text: unknown): text is ColumnDelimiter =>
  typeof text === 'string' && Object.hasOwn(DELIMITERS, text);
export const isLineEnding = (text: unknown): text is LineEnding =>
  typeof text === 'string' && Object.hasOwn(LINE_ENDINGS, text);

/** A value as result files have it: always quoted, quotes doubled. */
export function quoted(value: string): string {
  return value.includes('"') ? `"${value.replaceAll('"', '""')}"` : `"${value}"`;
}
