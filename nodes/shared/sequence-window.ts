import { BatchInFlight, type BatchOwner } from './batch-in-flight.ts';

interface Waiting {
  resolve(batch: BatchInFlight): void;
  reject(error: Error): void;
}

/** How many batches of a sequence may be in flight, who waits for a place, and what is in flight. */
export class SequenceWindow {
  readonly #size: number;
  readonly #mostGathered: number;
  readonly #owner: BatchOwner;
  readonly #inFlight = new Map<number, BatchInFlight>();
  /** Those of them that only wait, at nodes, for the rest of their group. */
  readonly #gathered = new Set<BatchInFlight>();
  #waiting: Waiting[] = [];
  #drained: { resolve(): void; reject(error: Error): void } | undefined;
  #error: Error | undefined;
  #opened = 0;

  /** `mostGathered`: Node-RED's `nodeMessageBufferMaxLength`, 0 for no limit. */
  constructor(size: number, mostGathered: number, owner: BatchOwner) {
    this.#size = size;
    this.#mostGathered = mostGathered > 0 ? mostGathered : Number.POSITIVE_INFINITY;
    this.#owner = owner;
  }

  get size(): number {
    return this.#inFlight.size;
  }

  /** How many batches there have been. */
  get opened(): number {
    return this.#opened;
  }

  /** Nothing more comes to complete a group: all is sent, or the next one has no place. */
  get waitsForGroups(): boolean {
    return this.#drained !== undefined || this.#waiting.length > 0;
  }

  batches(): Iterable<BatchInFlight> {
    return this.#inFlight.values();
  }

  /** Waits, first come first served, for a place and takes it. */
  place(): Promise<BatchInFlight> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) reject(this.#error);
      else this.#waiting.push({ resolve, reject });
      this.#fill();
    });
  }

  /** Resolves when nothing is in flight; nobody asks for a place any more. */
  drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) reject(this.#error);
      else this.#drained = { resolve, reject };
      this.#fill();
    });
  }

  /** A batch that counted as through too early is in flight again when a message of it turns up. */
  batchAt(index: number): BatchInFlight | undefined {
    return this.#inFlight.get(index) ?? (index >= 0 && index < this.#opened ? this.#again(index) : undefined);
  }

  moved(batch: BatchInFlight): void {
    if (!batch.gathered) {
      this.#gathered.delete(batch);
      return;
    }
    this.#gathered.add(batch);
    this.#fill();
  }

  through(batch: BatchInFlight): void {
    this.#inFlight.delete(batch.index);
    this.#gathered.delete(batch);
    this.#fill();
  }

  breakOff(error: Error): void {
    this.#error = error;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
    this.#drained?.reject(error);
    this.#drained = undefined;
  }

  #fill(): void {
    while (this.#waiting.length > 0 && this.#hasRoom())
      this.#waiting.shift()?.resolve(this.#open(this.#opened++));
    if (this.#inFlight.size > 0) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #hasRoom(): boolean {
    return this.#inFlight.size - Math.min(this.#gathered.size, this.#mostGathered) < this.#size;
  }

  #open(index: number): BatchInFlight {
    const batch = new BatchInFlight(index, this.#owner);
    this.#inFlight.set(index, batch);
    return batch;
  }

  #again(index: number): BatchInFlight {
    const batch = this.#open(index);
    batch.whileSending(() => {});
    return batch;
  }
}
