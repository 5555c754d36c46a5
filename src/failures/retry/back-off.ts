/** Doubling stops here: later waits are all alike. */
const LONGEST_MS = 5 * 60_000;

/**
 * How long a record waits before its next try, in milliseconds: `base` after the first, doubled after each further one,
 * of which between a half and all is taken by chance, so that records that clashed do not clash again.
 */
export function backOffMs(baseMs: number, tries: number, random: () => number): number {
  const whole = Math.min(LONGEST_MS, baseMs * 2 ** Math.max(0, tries - 1));
  return Math.round(whole * (0.5 + random() / 2));
}
