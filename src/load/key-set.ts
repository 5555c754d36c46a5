import { createHash } from 'node:crypto';

const INITIAL_SLOTS = 1024;

/**
 * Counts distinct keys without keeping them: 8 bytes a key, for jobs of which a million records fail. Two keys are taken
 * for one with a chance of about n²/2⁶⁴; then a job is called settled too late, never too early.
 */
export class KeySet {
  #slots = new BigUint64Array(INITIAL_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(key: string): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    if (insert(this.#slots, fingerprint(key))) this.#size += 1;
  }

  #grow(): void {
    const larger = new BigUint64Array(this.#slots.length * 2);
    for (const slot of this.#slots) {
      if (slot !== 0n) insert(larger, slot);
    }
    this.#slots = larger;
  }
}

/** Zero marks a free slot, so no fingerprint is zero. */
function fingerprint(key: string): bigint {
  return createHash('sha1').update(key).digest().readBigUInt64LE(0) | 1n;
}

function insert(slots: BigUint64Array, value: bigint): boolean {
  const mask = slots.length - 1;
  let index = Number((value >> 1n) & BigInt(mask));
  for (;;) {
    const found = slots[index];
    if (found === value) return false;
    if (found === 0n) {
      slots[index] = value;
      return true;
    }
    index = (index + 1) & mask;
  }
}
