import { open } from 'node:fs/promises';
import { CsvReader } from '../csv/csv-reader.ts';
import type { ColumnDelimiter } from '../csv/dialect.ts';

/** The first line of an upload. */
export interface UploadHeader {
  /** As it was written, without its line end: result files echo it. */
  raw: string;
  names: string[];
  /** Where the first record begins. */
  bodyOffset: number;
}

/** More than the longest header that the org takes. */
const READ_BYTES = 256 * 1024;

const LF = 10;
const QUOTE = 34;

export async function readHeader(file: string, delimiter: ColumnDelimiter): Promise<UploadHeader> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, 0);
    const end = endOfLine(buffer.subarray(0, bytesRead));
    const raw = buffer.toString('utf8', 0, end).replace(/\r$/, '');
    const reader = new CsvReader(delimiter);
    const [row] = [...reader.push(Buffer.from(raw)), ...reader.end()];
    return { raw, names: row?.values ?? [], bodyOffset: Math.min(end + 1, bytesRead) };
  } finally {
    await handle.close();
  }
}

function endOfLine(bytes: Buffer): number {
  let isQuoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      isQuoted = !isQuoted;
    } else if (byte === LF && !isQuoted) {
      return at;
    }
  }
  return bytes.length;
}
