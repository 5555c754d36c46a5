/** What is renumbered, tracked or replaced on the way out, and so no part of what a message carries. */
const NOT_CARRIED = new Set(['payload', 'parts', '_sequence', 'filename', 'claim']);

/** The message that a run's jobs and receipt leave on: what its first message carried. */
export function carriedBy(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(message).filter(([name]) => !NOT_CARRIED.has(name)));
}

/** The same as JSON, for the ledger: a parked job's message then looks like the first one, but for live objects (req, res). */
export function keptMessage(carried: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(carried)) {
    const json = jsonOf(value);
    if (json !== undefined) kept[name] = JSON.parse(json);
  }
  return kept;
}

/** Undefined for what JSON cannot hold: functions, sockets with their circles, big integers. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
