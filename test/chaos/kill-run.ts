import { setTimeout as wait } from 'node:timers/promises';
import type { NodeRed } from '../support/node-red.ts';
import { Person } from './kill-person.ts';
import { HELD_MS, type Moment, type Plan, planOf, REQUESTS } from './kill-plan.ts';
import { type Verdict, verdict } from './kill-verdict.ts';
import { PLACES, type Place, type World } from './kill-world.ts';

/** What a person who triggers the load may be told while it recovers; each says what to do, and they do it. */
const EXPECTED_ERRORS = new Set(['LOAD_UNSETTLED', 'LOAD_ALREADY_RUNNING', 'LOAD_STALE']);
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
  #startedAt = 0;
  #isTakenOver = false;

  constructor(world: World, plan: Plan | undefined, options: RunOptions) {
    this.#world = world;
    this.#plan = plan;
    this.#options = options;
    this.#keys = keysOf(plan === undefined ? 'calm' : `s${plan.seed}`, options.rows);
  }

  async perform(): Promise<Outcome> {
    const world = this.#world;
    await world.seed(this.#keys);
    const place = await this.#onePlace();
    const person = new Person(world, this.#options.timeoutMs);
    this.#startedAt = Date.now();
    const trouble = await this.#perform(place, person).then(
      () => [],
      (error) => [error instanceof Error ? error.message : String(error)],
    );
    const ms = Date.now() - this.#startedAt;
    const result = await verdict(world, { keys: this.#keys, paused: this.#plan?.variant === 'pause' });
    for (const nodeRed of world.running.values()) person.hear(nodeRed);
    const violations = [...result.violations, ...trouble];
    if (violations.length > 0) violations.push(...this.#lastLines());
    const { errors, triggers } = person;
    return { ...result, violations, plan: this.#plan, ms, errors, triggers };
  }

  async #perform(place: Place, person: Person): Promise<void> {
    const plan = this.#plan;
    const last = plan === undefined ? place : await this.#disturb(place, plan, person);
    if (plan?.impatient) await person.trigger(this.#nodeRed(last));
    await person.untilDone(this.#nodeRed(last));
    if (plan?.variant === 'pause') await this.#untilQuiet(other(last));
  }

  /** The Node-RED that the run before left, or a new one; of two, one ends. */
  async #onePlace(): Promise<Place> {
    const [first, ...others] = this.#world.running.keys();
    for (const place of others) await this.#world.kill(place);
    if (first === undefined) await this.#world.start(PLACES[0]);
    return first ?? PLACES[0];
  }

  /** Returns the place where the load is to be triggered from then on. */
  async #disturb(place: Place, plan: Plan, person: Person): Promise<Place> {
    const world = this.#world;
    if (plan.variant === 'standby' || plan.variant === 'contest') await world.start(other(place));
    this.#startedAt = Date.now();
    await person.trigger(this.#nodeRed(place));
    await this.#moment(plan.first);
    switch (plan.variant) {
      case 'kill':
        await this.#kill(place, person);
        await world.start(place);
        return place;
      case 'twice':
        await this.#kill(place, person);
        await person.trigger(await world.start(place));
        await this.#moment(plan.second);
        await this.#kill(place, person);
        await world.start(place);
        return place;
      case 'recovery':
        await this.#kill(place, person);
        await world.start(place);
        await wait(plan.pauseMs / 4);
        await this.#kill(place, person);
        await world.start(place);
        return place;
      case 'postgres':
        await Promise.all([this.#kill(place, person), world.postgres.kill()]);
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
        await this.#kill(place, person);
        return other(place);
      case 'pause':
        await this.#pause(place, plan, person);
        return other(place);
    }
  }

  async #kill(place: Place, person: Person): Promise<void> {
    const nodeRed = this.#nodeRed(place);
    await this.#world.kill(place);
    person.hear(nodeRed);
    this.#world.org.faults.clear();
  }

  async #pause(place: Place, { pauseMs, impatient }: Plan, person: Person): Promise<void> {
    const paused = this.#nodeRed(place);
    const before = await this.#world.epoch();
    paused.pause();
    this.#world.org.faults.clear();
    await this.#world.cut(place);
    await this.#world.start(other(place));
    // Either in the middle of the other's work, or when all of it is done.
    if (impatient) await wait(pauseMs);
    else await person.untilDone(this.#nodeRed(other(place)));
    // Without a newer epoch it takes its lock again and carries on itself.
    this.#isTakenOver = (await this.#world.epoch()) > before;
    paused.resume();
  }

  /** A process that went on hears that its load is another's now. */
  async #untilQuiet(place: Place): Promise<void> {
    const nodeRed = this.#nodeRed(place);
    const lost = /taken over by another process/;
    const isTold = () => !this.#isTakenOver || nodeRed.logs.some((line) => lost.test(line));
    await nodeRed.waitFor(isTold, 'the paused process hears that its load was taken over');
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
