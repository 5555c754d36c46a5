import { type Random, seededRandom } from '../../sandbox/org/random.ts';

/**
 * How a load is disturbed.
 * - `kill`: SIGKILL. `twice`: once more after it was triggered again. `recovery`: once more while it carries on.
 * - `postgres`: PostgreSQL is killed with it. `database`: PostgreSQL alone is, and Node-RED goes on.
 * - `standby`: a second Node-RED stands by, and takes over without being asked. `contest`: PostgreSQL alone is killed while a
 *   second one stands by; whoever has the lock first carries the load on.
 * - `pause`: SIGSTOP, its connections cut; a second Node-RED takes over; then it goes on.
 */
export const VARIANTS = [
  'kill',
  'pause',
  'twice',
  'postgres',
  'recovery',
  'standby',
  'database',
  'contest',
] as const;
export type Variant = (typeof VARIANTS)[number];

/** Requests of a load, by what the org sees of them. */
export const REQUESTS = {
  create: { method: 'POST', path: /\/jobs\/ingest\/?$/ },
  upload: { method: 'PUT', path: /\/batches/ },
  close: { method: 'PATCH', path: /\/jobs\/ingest\// },
  look: { method: 'GET', path: /\/jobs\/ingest\/\w+$/ },
  results: { method: 'GET', path: /Results/ },
  retry: { method: 'POST', path: /\/composite\/sobjects/ },
} as const;
export type RequestKind = keyof typeof REQUESTS;

/**
 * When it strikes: at a part of the time that an undisturbed load takes, or `afterMs` after the org has seen the nth request
 * of a kind, whose answer it holds back (`answered`) or which it never looks at.
 */
export type Moment =
  | { kind: 'time'; part: number }
  | { kind: 'request'; request: RequestKind; nth: number; answered: boolean; afterMs: number };

export interface Plan {
  seed: number;
  variant: Variant;
  first: Moment;
  /** Of `twice`. */
  second: Moment;
  /** Between the first stroke and what follows it: the second one, the way back of the database, the end of the pause. */
  pauseMs: number;
  /** A person triggers the load at once after the restart; otherwise when nothing is left unsettled. */
  impatient: boolean;
}

/** How long the org holds an answer back: longer than any `afterMs`. */
export const HELD_MS = 400;

const LONGEST_PAUSE_MS = 2000;
/** How many requests of a kind a load of nine jobs makes, at least. */
const USUAL: Record<RequestKind, number> = { create: 9, upload: 9, close: 9, look: 9, results: 18, retry: 9 };

/** The same for the same seed, whatever else is run. */
export function planOf(seed: number): Plan {
  const random = seededRandom(seed * 7919 + 13);
  random();
  const variant = VARIANTS[seed % VARIANTS.length] ?? 'kill';
  return {
    seed,
    variant,
    first: momentOf(random, variant),
    second: momentOf(random, variant),
    pauseMs: Math.floor(random() * LONGEST_PAUSE_MS),
    impatient: random() < 0.5,
  };
}

function momentOf(random: Random, variant: Variant): Moment {
  if (random() < 0.5) return { kind: 'time', part: random() };
  const kinds = Object.keys(REQUESTS) as RequestKind[];
  const request = kinds[Math.floor(random() * kinds.length)] ?? 'close';
  // A process that lives on would wait for a request that is never looked at until it times out.
  const livesOn = variant === 'pause' || variant === 'database' || variant === 'contest';
  return {
    kind: 'request',
    request,
    nth: 1 + Math.floor(random() * USUAL[request]),
    answered: livesOn || random() < 0.6,
    afterMs: Math.floor(random() * HELD_MS * 1.2),
  };
}

export function describeMoment(moment: Moment): string {
  if (moment.kind === 'time') return `at ${Math.round(moment.part * 100)} %`;
  const { request, nth, answered, afterMs } = moment;
  return `${afterMs} ms into ${request} ${nth}${answered ? '' : ' (unseen)'}`;
}
