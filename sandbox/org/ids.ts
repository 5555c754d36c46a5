/**
 * Salesforce record ids: 3 characters of key prefix, 3 of the org's pod, 9 digits in base 62, and for the 18-character
 * form 3 more that encode which of the first 15 are capitals, so that ids survive a case-insensitive comparison.
 */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SUFFIX = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';
const POD = 'ak0';
const SERIAL_LENGTH = 9;

const DIGIT_OF = new Map<string, number>([...DIGITS].map((digit, value) => [digit, value]));

const isCapital = (code: number): boolean => code >= 65 && code <= 90;

/** The three characters that turn a 15-character id into its 18-character form. */
export function idSuffix(id15: string): string {
  let suffix = '';
  for (let block = 0; block < 15; block += 5) {
    let bits = 0;
    for (let i = 0; i < 5; i++) {
      if (isCapital(id15.charCodeAt(block + i))) {
        bits |= 1 << i;
      }
    }
    suffix += SUFFIX.charAt(bits);
  }
  return suffix;
}

function encodeSerial(serial: number): string {
  let text = '';
  let rest = serial;
  for (let i = 0; i < SERIAL_LENGTH; i++) {
    text = DIGITS.charAt(rest % 62) + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}

/** The 18-character id of the record with this key prefix and serial number. */
export function makeId(keyPrefix: string, serial: number): string {
  const id15 = keyPrefix + POD + encodeSerial(serial);
  return id15 + idSuffix(id15);
}

/** The 18-character form of a well-formed id, or undefined for text that is no id (wrong length, letters or suffix). */
export function normaliseId(text: string): string | undefined {
  if (!/^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$/.test(text)) {
    return undefined;
  }
  const id15 = text.slice(0, 15);
  const id18 = id15 + idSuffix(id15);
  return text.length === 15 || text.slice(15).toUpperCase() === id18.slice(15) ? id18 : undefined;
}

/** The serial number inside an id of this org, or undefined when the id is of another org. */
export function serialOf(id: string): number | undefined {
  if (id.slice(3, 6) !== POD) {
    return undefined;
  }
  let serial = 0;
  for (const digit of id.slice(6, 15)) {
    const value = DIGIT_OF.get(digit);
    if (value === undefined) {
      return undefined;
    }
    serial = serial * 62 + value;
  }
  return serial;
}

/** Writes successive ids as bytes, far faster than making strings: for results of millions of generated rows. */
export class IdWriter {
  readonly #id: Buffer;

  constructor(keyPrefix: string, firstSerial: number) {
    this.#id = Buffer.from(makeId(keyPrefix, firstSerial), 'latin1');
  }

  /** Writes the current id (18 bytes) at the offset and moves on to the next one. */
  write(target: Buffer, offset: number): void {
    const id = this.#id;
    for (let i = 0; i < 18; i++) {
      target[offset + i] = id[i] as number;
    }
    this.skip();
  }

  /** Moves on to the next id. */
  skip(): void {
    const id = this.#id;
    let at = 14;
    while (at > 5) {
      const code = id[at] as number;
      if (code !== 122) {
        id[at] = code === 57 ? 65 : code === 90 ? 97 : code + 1;
        break;
      }
      id[at] = 48;
      at--;
    }
    // Only the blocks whose digits changed: the last five characters nearly always, the middle five rarely.
    this.#refreshSuffix(10, 17);
    if (at < 10) {
      this.#refreshSuffix(5, 16);
    }
  }

  #refreshSuffix(block: number, position: number): void {
    let bits = 0;
    for (let i = 0; i < 5; i++) {
      if (isCapital(this.#id[block + i] as number)) {
        bits |= 1 << i;
      }
    }
    this.#id[position] = SUFFIX.charCodeAt(bits);
  }
}
