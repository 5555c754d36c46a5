import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
const RGB = 2;
const PALETTE = 3;
const COLOURS = 256;
const EXACT = 128;

interface Pixels {
  width: number;
  height: number;
  /** 0xRRGGBB, row by row. */
  colours: Uint32Array;
}

/**
 * A screenshot in less than half the bytes: a PNG with a palette of its most frequent colours, every other one replaced by
 * the nearest of these. Takes what Chromium writes: 8 bits, RGB or RGBA without transparency, not interlaced. PNG: W3C
 * recommendation, third edition.
 */
export function palettePng(png: Buffer): Buffer {
  const pixels = decoded(png);
  const palette = mostFrequent(pixels.colours);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(pixels.width, 0);
  header.writeUInt32BE(pixels.height, 4);
  header.set([8, PALETTE], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(palette.flatMap((colour) => channels(colour)))),
    chunk('IDAT', deflateSync(indexed(pixels, palette), { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function decoded(png: Buffer): Pixels {
  const body: Buffer[] = [];
  let header = Buffer.alloc(0);
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const data = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') header = Buffer.from(data);
    if (type === 'IDAT') body.push(data);
    at += length + 12;
  }
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const depth = header[9] === RGB ? 3 : 4;
  const bytes = unfiltered(inflateSync(Buffer.concat(body)), { stride: width * depth, height, depth });
  const colours = new Uint32Array(width * height);
  for (let index = 0; index < colours.length; index += 1) colours[index] = bytes.readUIntBE(index * depth, 3);
  return { width, height, colours };
}

/** Each line begins with the number of its filter: what was taken from each byte before it was compressed. */
function unfiltered(
  lines: Buffer,
  { stride, height, depth }: { stride: number; height: number; depth: number },
): Buffer {
  const bytes = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y += 1) {
    const from = y * (stride + 1) + 1;
    const to = y * stride;
    const predict = PREDICTORS[lines[from - 1] ?? 0] ?? nothing;
    for (let x = 0; x < stride; x += 1) {
      const left = x < depth ? 0 : (bytes[to + x - depth] ?? 0);
      const above = y === 0 ? 0 : (bytes[to + x - stride] ?? 0);
      const corner = x < depth || y === 0 ? 0 : (bytes[to + x - stride - depth] ?? 0);
      bytes[to + x] = (lines[from + x] ?? 0) + predict(left, above, corner);
    }
  }
  return bytes;
}

const nothing = () => 0;
const PREDICTORS: ((left: number, above: number, corner: number) => number)[] = [
  nothing,
  (left) => left,
  (_left, above) => above,
  (left, above) => (left + above) >> 1,
  paeth,
];

function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** The most frequent are kept as they are; of the others that look alike one, or the shades of smoothed text took all room. */
function mostFrequent(colours: Uint32Array): number[] {
  const counts = new Map<number, number>();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const sorted = [...counts].sort(([, one], [, other]) => other - one).map(([colour]) => colour);
  const others = new Map<number, number>();
  for (const colour of sorted.slice(EXACT)) {
    const likeness = colour & 0xf0f0f0;
    if (!others.has(likeness)) others.set(likeness, colour);
  }
  return [...sorted.slice(0, EXACT), ...others.values()].slice(0, COLOURS);
}

function indexed({ width, height, colours }: Pixels, palette: number[]): Buffer {
  const indexes = new Map(palette.map((colour, index) => [colour, index]));
  const lines = Buffer.alloc((width + 1) * height);
  colours.forEach((colour, place) => {
    const index = indexes.get(colour) ?? nearest(colour, palette);
    indexes.set(colour, index);
    lines[place + Math.floor(place / width) + 1] = index;
  });
  return lines;
}

function nearest(colour: number, palette: number[]): number {
  const wanted = channels(colour);
  const distances = palette.map((candidate) =>
    channels(candidate).reduce((sum, value, channel) => sum + (value - (wanted[channel] ?? 0)) ** 2, 0),
  );
  return distances.indexOf(Math.min(...distances));
}

function channels(colour: number): number[] {
  return [(colour >> 16) & 255, (colour >> 8) & 255, colour & 255];
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(typed.length + 8);
  framed.writeUInt32BE(data.length, 0);
  typed.copy(framed, 4);
  framed.writeUInt32BE(crc32(typed), typed.length + 4);
  return framed;
}
