import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { REPOSITORY } from './node-red-package.ts';
import { palettePng } from './palette-png.ts';

/** What the README and the documentation show. Written on request only, so that a run of the tests changes no file that is kept. */
const KEPT = join(REPOSITORY, 'docs/images');

export interface ShotOptions {
  /** Also kept in docs/images under this name, when `UPDATE_IMAGES` is set. */
  keepAs?: string;
  /** Only the part of the page that holds all of these. */
  around?: Locator;
}

/** The steps of one test as images, numbered, in `.test-output/<story>/`. */
export class Screenshots {
  readonly #page: Page;
  readonly #folder: string;
  #steps = 0;

  private constructor(page: Page, folder: string) {
    this.#page = page;
    this.#folder = folder;
  }

  /** Those of an earlier run go. */
  static async of(page: Page, story: string): Promise<Screenshots> {
    const folder = join(REPOSITORY, '.test-output', story);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    return new Screenshots(page, folder);
  }

  async step(name: string, { keepAs, around }: ShotOptions = {}): Promise<void> {
    this.#steps += 1;
    const number = String(this.#steps).padStart(2, '0');
    const clip = around === undefined ? {} : { clip: await boxAround(around) };
    const png = await this.#page.screenshot({ caret: 'hide', animations: 'disabled', ...clip });
    await writeFile(join(this.#folder, `${number}-${name}.png`), png);
    if (keepAs === undefined || !process.env.UPDATE_IMAGES) return;
    await mkdir(KEPT, { recursive: true });
    await writeFile(join(KEPT, `${keepAs}.png`), palettePng(png));
  }
}

const MARGIN = 4;

async function boxAround(all: Locator): Promise<{ x: number; y: number; width: number; height: number }> {
  const boxes = (await Promise.all((await all.all()).map((one) => one.boundingBox()))).filter(
    (box) => box !== null,
  );
  const x = Math.min(...boxes.map((box) => box.x)) - MARGIN;
  const y = Math.min(...boxes.map((box) => box.y)) - MARGIN;
  return {
    x,
    y,
    width: Math.max(...boxes.map((box) => box.x + box.width)) + MARGIN - x,
    height: Math.max(...boxes.map((box) => box.y + box.height)) + MARGIN - y,
  };
}
