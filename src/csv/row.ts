const QUOTE = 34;

/**
 * The values of one CSV record, given without its line ending; undefined when its quotes do not add up. A quote opens a
 * value only at its very start; anywhere else in an unquoted value it is text.
 */
export function splitRow(line: string, delimiter: string): string[] | undefined {
  const values: string[] = [];
  const delimiterCode = delimiter.charCodeAt(0);
  let at = 0;
  for (;;) {
    if (line.charCodeAt(at) === QUOTE) {
      const close = closingQuote(line, at + 1);
      if (close === -1) return undefined;
      const text = line.substring(at + 1, close);
      values.push(text.includes('"') ? text.replaceAll('""', '"') : text);
      at = close + 1;
      if (at === line.length) return values;
      if (line.charCodeAt(at) !== delimiterCode) return undefined;
    } else {
      const stop = line.indexOf(delimiter, at);
      if (stop === -1) {
        values.push(line.substring(at));
        return values;
      }
      values.push(line.substring(at, stop));
      at = stop;
    }
    at += 1;
  }
}

function closingQuote(line: string, from: number): number {
  let at = line.indexOf('"', from);
  while (at !== -1 && line.charCodeAt(at + 1) === QUOTE) at = line.indexOf('"', at + 2);
  return at;
}
