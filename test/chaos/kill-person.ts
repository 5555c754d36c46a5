import { setTimeout as wait } from 'node:timers/promises';
import type { NodeRed } from '../support/node-red.ts';
import type { Standing, World } from './kill-world.ts';

const MOST_TRIGGERS = 12;
const LOOK_MS = 25;

/**
 * Somebody who wants the rows loaded: triggers the load, reads what the flow's Catch node caught, waits until nothing is
 * left unsettled, and triggers again while rows are READY.
 */
export class Person {
  /** What the Catch node caught, by code. */
  readonly errors: Record<string, number> = {};
  /** Its texts. */
  readonly told: string[] = [];
  triggers = 0;
  readonly #world: World;
  readonly #deadline: number;
  readonly #heard = new Map<NodeRed, number>();

  constructor(world: World, timeoutMs: number) {
    this.#world = world;
    this.#deadline = Date.now() + timeoutMs;
    for (const nodeRed of world.running.values()) this.#heard.set(nodeRed, nodeRed.debug.length);
  }

  async untilDone(nodeRed: NodeRed): Promise<void> {
    for (;;) {
      const { ready } = await this.untilSettled();
      if (ready === 0) return;
      await this.trigger(nodeRed);
    }
  }

  untilSettled(): Promise<Standing> {
    return this.until('nothing is left unsettled', ({ unfinished }) => unfinished === 0);
  }

  /** Until it has begun a run, or was told why not. */
  async trigger(nodeRed: NodeRed): Promise<void> {
    this.triggers += 1;
    if (this.triggers > MOST_TRIGGERS) throw new Error(`Not done after ${MOST_TRIGGERS} triggers.`);
    const { runs } = await this.#world.standing();
    this.hear(nodeRed);
    await nodeRed.inject('go');
    await this.until('the trigger has an effect', (now) => now.runs > runs || this.hear(nodeRed) > 0);
  }

  /** Takes in what the Catch node caught since the last time; returns how much that was. */
  hear(nodeRed: NodeRed): number {
    const from = this.#heard.get(nodeRed) ?? 0;
    this.#heard.set(nodeRed, nodeRed.debug.length);
    const errors = nodeRed.debug.slice(from).filter(({ name }) => name === 'errors');
    for (const { value } of errors) {
      const { code, message } = (value ?? {}) as { code?: unknown; message?: unknown };
      this.errors[String(code)] = (this.errors[String(code)] ?? 0) + 1;
      this.told.push(`${code}: ${message}`);
    }
    return errors.length;
  }

  async until(what: string, fits: (standing: Standing) => boolean): Promise<Standing> {
    for (;;) {
      const standing = await this.#world.standing();
      if (fits(standing)) return standing;
      if (Date.now() > this.#deadline) {
        throw new Error(`Waited in vain until ${what}: ${JSON.stringify(standing)}`);
      }
      await wait(LOOK_MS);
    }
  }
}
