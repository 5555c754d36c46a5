import { type HttpPlan, type PlanOptions, planOf, strike } from './http-plan.ts';
import { Night } from './night.ts';
import { receiptsAddUp, type Standing, standing } from './night-verdict.ts';
import type { NightWorld } from './night-world.ts';

export interface HttpOutcome {
  seed: number;
  rows: number;
  jobs: number;
  requests: number;
  /** Requests that met a fault. */
  struck: number;
  triggers: number;
  /** What a Catch node heard, by code. */
  errors: Record<string, number>;
  deadLetters: number;
  inDoubt: number;
  ms: number;
  /** Empty when every promise was kept. */
  violations: string[];
}

/** Each of them says what to do; whoever triggers the load again does it. */
const MOST_TRIGGERS = 40;
/** From then on jobs are as they should be: what stalls for ever would never end. */
const TRIGGERS_WITH_JOB_FAULTS = 2;
/** Real milliseconds in which a load must come to a standstill, by itself. */
const QUIET_MS = 60_000;
const BATCH = 1000;

/** Of a hundred rows two heal on retry, one only alone, and one fails for good. */
const MARKS = new Map([
  [7, 'LOCK-'],
  [57, 'UNKNOWN-'],
  [83, 'APEX-'],
  [33, 'VALIDATION-'],
]);

/** One load under the faults of its plan, triggered until every row has come to an end, and what it came to. */
export async function disturbedByHttp(
  world: NightWorld,
  seed: number,
  options: PlanOptions,
): Promise<HttpOutcome> {
  const began = performance.now();
  const plan = planOf(seed, options);
  const keys = Array.from(
    { length: options.rows },
    (_, index) => `s${seed}-${MARKS.get(index % 100) ?? ''}${index}`,
  );
  await world.seed(keys);
  strike(world.org, plan);
  const night = new Night(world, {
    batch: BATCH,
    // The load's own errors are not to hide behind an hour of waiting.
    watch: { stallTimeoutMs: 120_000 },
    session: { timeouts: { answerMs: 700, longAnswerMs: 900, silenceMs: 700 } },
    load: { maxRecordsPerJob: plan.recordsPerJob },
  });
  const over = new AbortController();
  const sessions = endSessions(world, plan, over.signal);
  try {
    const { found, triggers, violations } = await untilDone(world, night, options.rows);
    return {
      ...counted(world, night),
      seed,
      rows: options.rows,
      triggers,
      deadLetters: found.failed,
      inDoubt: found.inDoubt,
      ms: Math.round(performance.now() - began),
      violations,
    };
  } finally {
    over.abort();
    await sessions;
    await night.close();
  }
}

async function untilDone(world: NightWorld, night: Night, rows: number) {
  const violations: string[] = [];
  for (let triggers = 1; ; triggers += 1) {
    if (triggers > TRIGGERS_WITH_JOB_FAULTS) world.org.jobFaults.clear();
    await night.trigger(QUIET_MS).catch((error) => violations.push(String(error)));
    const found = await standing(world, night);
    violations.push(...found.violations);
    const isDone = found.ready === 0 && (await night.unsettledJobs()).length === 0;
    if (!isDone && triggers < MOST_TRIGGERS && violations.length === 0) continue;
    if (!isDone) violations.push(`${found.ready} rows are READY after ${triggers} triggers: ${night.codes}`);
    else violations.push(...(await ends(world, night, found, rows)));
    return { found, triggers, violations };
  }
}

async function ends(world: NightWorld, night: Night, found: Standing, rows: number): Promise<string[]> {
  const violations = await receiptsAddUp(world, night.runReceipts, found);
  if (found.done + found.failed !== rows)
    violations.push(`${found.done + found.failed} of ${rows} rows ended`);
  return violations;
}

async function endSessions(world: NightWorld, plan: HttpPlan, signal: AbortSignal): Promise<void> {
  const waits = plan.sessionsEndAt.map((ms) =>
    world.clock.sleep(ms, signal).then(
      () => world.org.expireTokens(),
      () => {}, // The load was done before.
    ),
  );
  await Promise.all(waits);
}

function counted(world: NightWorld, night: Night) {
  const seen = world.org.audit.requests();
  const errors: Record<string, number> = {};
  for (const code of night.codes) errors[code] = (errors[code] ?? 0) + 1;
  return {
    jobs: night.jobReceipts.length,
    requests: seen.length,
    struck: seen.filter(({ fault }) => fault !== undefined).length,
    errors,
  };
}
