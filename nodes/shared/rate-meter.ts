import type { Clock } from '../../src/clock.ts';
import { text } from './texts.ts';

const WINDOW_MS = 10_000;
const SAMPLE_MS = 500;

/** What is counted: texts `count.<unit>` of the catalogue. */
export type Unit = 'rows' | 'records' | 'failures' | 'kept' | 'retried' | 'letters';

/** Counts what passes, and how fast it passed in the last ten seconds: "12,000 rows, 4,200/s". */
export class RateMeter {
  readonly #clock: Clock;
  readonly #unit: Unit;
  /** Oldest first; totals as they were at a time. */
  #samples: { at: number; total: number }[];
  #total = 0;

  constructor(clock: Clock, unit: Unit = 'rows') {
    this.#clock = clock;
    this.#unit = unit;
    this.#samples = [{ at: clock.now(), total: 0 }];
  }

  get total(): number {
    return this.#total;
  }

  /** In a second, of the last ten; of the whole time while that is shorter. 0 before any time has passed. */
  get perSecond(): number {
    const now = this.#clock.now();
    const from = this.#samples.find(({ at }) => now - at <= WINDOW_MS) ?? this.#samples.at(-1);
    if (from === undefined || now <= from.at) return 0;
    return ((this.#total - from.total) * 1000) / (now - from.at);
  }

  add(count: number): void {
    const now = this.#clock.now();
    this.#total += count;
    const last = this.#samples.at(-1);
    if (last !== undefined && now - last.at < SAMPLE_MS) return;
    this.#samples = [
      ...this.#samples.filter(({ at }) => now - at <= WINDOW_MS),
      { at: now, total: this.#total },
    ];
  }

  text(): string {
    const counted = text(`count.${this.#unit}`, { count: this.#total });
    const rate = Math.round(this.perSecond);
    return rate === 0 ? counted : `${counted}, ${text('count.perSecond', { rate })}`;
  }
}
