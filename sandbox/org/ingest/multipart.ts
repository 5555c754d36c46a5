import { bulkError } from '../http/reply.ts';

/** One part of a multipart/form-data body. */
export interface Part {
  name: string;
  content: Buffer;
}

/** Splits a multipart/form-data body (small by rule: 100,000 characters of data, reference §3). */
export function splitMultipart(body: Buffer, contentType: string): Part[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (!boundary) {
    throw bulkError(400, 'INVALID_MULTIPART_REQUEST', 'The multipart request has no boundary');
  }
  const mark = Buffer.from(`--${boundary}`);
  const parts: Part[] = [];
  let from = body.indexOf(mark);
  while (from !== -1) {
    const start = from + mark.length;
    const next = body.indexOf(mark, start);
    if (next === -1) {
      break;
    }
    const part = readPart(body.subarray(start, next));
    if (part) {
      parts.push(part);
    }
    from = next;
  }
  return parts;
}

function readPart(bytes: Buffer): Part | undefined {
  const text = bytes.toString('latin1');
  const gap = /\r?\n\r?\n/.exec(text);
  const name = /name="?([^";\r\n]+)"?/i.exec(text.slice(0, gap?.index))?.[1];
  if (!gap || !name) {
    return undefined;
  }
  const start = gap.index + gap[0].length;
  const end = text.endsWith('\r\n') ? bytes.length - 2 : bytes.length - 1;
  return { name, content: bytes.subarray(start, Math.max(start, end)) };
}
