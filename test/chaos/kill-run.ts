import { setTimeout as wait } from 'node:timers/promises';
import type { NodeRed } from '../support/node-red.ts';
import { HELD_MS, type Moment, type Plan, planOf, REQUESTS } from './kill-plan.ts';
import { type Verdict, verdict } from './kill-verdict.ts';
import { PLACES, type Place, type Standing, type World } from './kill-world.ts';

/** What a person who triggers the load may be told while it recovers; each says what to do, and they do it. */
const EXPECTED_ERRORS = new Set(['LOAD_UNSETTLED', 'LOAD_ALREADY_RUNNING', 'LOAD_STALE']);
const MOST_TRIGGERS = 12;
const LOOK_MS = 25;
/** An unseen request has to be let go when it never comes. */
const PATIENCE = 1.5;

export interface RunOptions {
  rows: number;
  /** What an undisturbed load takes, in milliseconds. */
  usualMs: number;
  /** A run that takes longer is a violation: something waits for a hand. */
  timeoutMs: number;
}

export interface Outcome extends Verdict {
  plan: Plan | undefined;
  ms: number;
  /** Errors that reached the flow's Catch node, by code. */
  errors: Record<string, number>;
  triggers: number;
}

/** One in a hundred heals on retry, one in a hundred fails for good. No two runs share a key. */
export function keysOf(tag: string, rows: number): string[] {
  const marks = new Map([
    [37, 'LOCK-'],
    [73, 'VALIDATION-'],
  ]);
  return Array.from({ length: rows }, (_, index) => `${tag}-${marks.get(index % 100) ?? ''}${index}`);
}

/** A load without any disturbance: what it takes serves as the measure of the moments. */
export async function undisturbed(world: World, rows: number, timeoutMs: number): Promise<Outcome> {
  return new ChaosRun(world, undefined, { rows, usualMs: 0, timeoutMs }).perform();
}

/** One load, disturbed as its plan says, triggered until it is done, and what it came to. */
export async function disturbed(world: World, seed: number, options: RunOptions): Promise<Outcome> {
  return disturbedBy(world, planOf(seed), options);
}

export async function disturbedBy(world: World, plan: Plan, options: RunOptions): Promise<Outcome> {
  return new ChaosRun(world, plan, options).perform();
}

class ChaosRun {
  readonly #world: World;
  readonly #plan: Plan | undefined;
  readonly #options: RunOptions;
  readonly #keys: string[];
  readonly #errors: Record<string, number> = {};
  readonly #heard = new Map<NodeRed, number>();
  #startedAt = 0;
  #triggers = 0;

  constructor(world: World, plan: Plan | undefined, options: RunOptions) {
    this.#world = world;
    this.#plan = plan;
    this.#options = options;
    this.#keys = keysOf(plan === undefined ? 'calm' : `s${plan.seed}`, options.rows);
  }

  async perform(): Promise<Outcome> {
    await this.#world.seed(this.#keys);
    const place = await this.#onePlace();
    this.#startedAt = Date.now();
    const trouble: string[] = [];
    try {
      const last = this.#plan === undefined ? place : await this.#disturb(place, this.#plan);
      await this.#untilDone(last);
      if (this.#plan?.variant === 'pause') await this.#untilQuiet(other(last));
    } catch (error) {
      trouble.push(error instanceof Error ? error.message : String(error));
    }
    const ms = Date.now() - this.#startedAt;
    const result = await verdict(this.#world, { keys: this.#keys, paused: this.#plan?.variant === 'pause' });
    for (const nodeRed of this.#world.running.values()) this.#hear(nodeRed);
    if (trouble.length > 0 || result.violations.length > 0) trouble.push(...this.#lastLines());
    return {
      ...result,
      violations: [...result.violations, ...trouble],
      plan: this.#plan,
      ms,
      errors: this.#errors,
      triggers: this.#triggers,
    };
  }

  /** The Node-RED that the run before left, or a new one; of two, one ends. */
  async #onePlace(): Promise<Place> {
    const [first, ...others] = this.#world.running.keys();
    for (const place of others) await this.#world.kill(place);
    if (first === undefined) await this.#world.start(PLACES[0]);
    const place = first ?? PLACES[0];
    // What it said in the run before is of no concern.
    const nodeRed = this.#nodeRed(place);
    this.#heard.set(nodeRed, nodeRed.debug.length);
    return place;
  }

  /** Returns the place where the load is to be triggered from then on. */
  async #disturb(place: Place, plan: Plan): Promise<Place> {
    const world = this.#world;
    if (plan.variant === 'standby' || plan.variant === 'contest') await world.start(other(place));
    this.#startedAt = Date.now();
    await this.#trigger(this.#nodeRed(place));
    await this.#moment(plan.first);
    switch (plan.variant) {
      case 'kill':
        await this.#kill(place);
        await world.start(place);
        return place;
      case 'twice':
        await this.#kill(place);
        await this.#trigger(await world.start(place));
        await this.#moment(plan.second);
        await this.#kill(place);
        await world.start(place);
        return place;
      case 'recovery':
        await this.#kill(place);
        await world.start(place);
        await wait(plan.pauseMs / 4);
        await this.#kill(place);
        await world.start(place);
        return place;
      case 'postgres':
        await Promise.all([this.#kill(place), world.postgres.kill()]);
        await world.postgres.restart();
        await world.start(place);
        return place;
      case 'database':
      case 'contest':
        await world.postgres.kill();
        world.org.faults.clear();
        await wait(plan.pauseMs / 2);
        await world.postgres.restart();
        return plan.variant === 'database' ? place : other(place);
      case 'standby':
        await this.#kill(place);
        return other(place);
      case 'pause':
        await this.#pause(place, plan);
        return other(place);
    }
  }

  async #kill(place: Place): Promise<void> {
    const nodeRed = this.#nodeRed(place);
    await this.#world.kill(place);
    this.#hear(nodeRed);
    this.#world.org.faults.clear();
  }

  async #pause(place: Place, { pauseMs, impatient }: Plan): Promise<void> {
    const paused = this.#nodeRed(place);
    paused.pause();
    this.#world.org.faults.clear();
    await this.#world.cut(place);
    await this.#world.start(other(place));
    // Either in the middle of the other's work, or when all of it is done.
    if (impatient) await wait(pauseMs);
    else await this.#untilDone(other(place));
    paused.resume();
  }

  /** A process that went on hears that its load is another's now. */
  async #untilQuiet(place: Place): Promise<void> {
    const nodeRed = this.#nodeRed(place);
    const lost = /taken over by another process/;
    const held = /The lock of load/;
    await nodeRed.waitFor(
      () => nodeRed.logs.some((line) => lost.test(line)) || !nodeRed.logs.some((line) => held.test(line)),
      'the paused process hears that its load was taken over',
    );
    // What it still had in hand comes to its end.
    await wait(500);
  }

  async #moment(moment: Moment): Promise<void> {
    const { usualMs } = this.#options;
    if (moment.kind === 'time') {
      await wait(moment.part * usualMs);
      return;
    }
    const { faults } = this.#world.org;
    const { request, nth, answered, afterMs } = moment;
    const held = answered ? ({ kind: 'delay', ms: HELD_MS } as const) : ({ kind: 'hang' } as const);
    const fault = faults.add({ ...REQUESTS[request], nth, ...held });
    const giveUpAt = Date.now() + usualMs * PATIENCE;
    while (faults.struck(fault) === 0 && Date.now() < giveUpAt) await wait(2);
    await wait(afterMs);
  }

  /** Triggers the load as a person would: again and again, but never while something is left unsettled. */
  async #untilDone(place: Place): Promise<void> {
    const nodeRed = this.#nodeRed(place);
    if (this.#plan?.impatient) await this.#trigger(nodeRed);
    for (;;) {
      const { ready } = await this.#until('nothing is left unsettled', ({ unfinished }) => unfinished === 0);
      if (ready === 0) return;
      await this.#trigger(nodeRed);
    }
  }

  /** Until it has begun a run, or was told why not. */
  async #trigger(nodeRed: NodeRed): Promise<void> {
    this.#triggers += 1;
    if (this.#triggers > MOST_TRIGGERS) throw new Error(`Not done after ${MOST_TRIGGERS} triggers.`);
    const { runs } = await this.#world.standing();
    this.#hear(nodeRed);
    await nodeRed.inject('go');
    await this.#until('the trigger has an effect', (now) => now.runs > runs || this.#hear(nodeRed) > 0);
  }

  /** Takes in what the Catch node caught since the last time; returns how much that was. */
  #hear(nodeRed: NodeRed): number {
    const from = this.#heard.get(nodeRed) ?? 0;
    this.#heard.set(nodeRed, nodeRed.debug.length);
    const errors = nodeRed.debug.slice(from).filter(({ name }) => name === 'errors');
    for (const { value } of errors) {
      const code = String((value as { code?: unknown } | undefined)?.code ?? 'no code');
      this.#errors[code] = (this.#errors[code] ?? 0) + 1;
    }
    return errors.length;
  }

  async #until(what: string, fits: (standing: Standing) => boolean): Promise<Standing> {
    for (;;) {
      const standing = await this.#world.standing();
      if (fits(standing)) return standing;
      if (Date.now() - this.#startedAt > this.#options.timeoutMs) {
        throw new Error(`Waited in vain until ${what}: ${JSON.stringify(standing)}`);
      }
      await wait(LOOK_MS);
    }
  }

  #nodeRed(place: Place): NodeRed {
    const nodeRed = this.#world.running.get(place);
    if (nodeRed === undefined) throw new Error(`No Node-RED runs at ${place}.`);
    return nodeRed;
  }

  #lastLines(): string[] {
    return [...this.#world.running].map(
      ([place, nodeRed]) => `Node-RED at ${place} said last:\n    ${nodeRed.logs.slice(-40).join('\n    ')}`,
    );
  }
}

/** Codes that no plan accounts for: worth a look, though the load came out right. */
export function surprises({ errors }: Outcome): string[] {
  return Object.keys(errors).filter((code) => !EXPECTED_ERRORS.has(code));
}

function other(place: Place): Place {
  return place === 'one' ? 'two' : 'one';
}
