import type { Locator } from 'playwright-core';
import type { Editor } from '../../support/browser.ts';

interface Canvas {
  RED: { nodes: { eachNode(visit: (node: { id: string; type: string }) => void): void } };
}

/** Hands on the canvas: everything by mouse, as a person works. */
export class Hands {
  readonly #editor: Editor;

  constructor(editor: Editor) {
    this.#editor = editor;
  }

  /** Drags a node out of the palette to a place on the canvas, in pixels from its corner. Returns the node's id. */
  async drop(type: string, x: number, y: number): Promise<string> {
    const { page } = this.#editor;
    const before = await this.#ids(type);
    const entry = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
    const canvas = await page.locator('#red-ui-workspace-chart').boundingBox();
    // Scrolls the palette to it.
    await entry.hover();
    await page.mouse.down();
    await page.mouse.move((canvas?.x ?? 0) + x, (canvas?.y ?? 0) + y, { steps: 8 });
    await page.mouse.up();
    const added = (await this.#ids(type)).filter((id) => !before.includes(id));
    if (added[0] === undefined) throw new Error(`${type} did not land on the canvas`);
    return added[0];
  }

  /** Pulls a wire from an output, counted from 0, to the input of another node. */
  async wire(source: string, output: number, target: string): Promise<void> {
    const { page } = this.#editor;
    const node = (id: string) => page.locator(`g.red-ui-flow-node-group[id="${id}"]`);
    // Waits until no dialog shades the canvas any more.
    await node(source).locator('.red-ui-flow-port-output .red-ui-flow-port').nth(output).hover();
    const to = await centre(node(target).locator('.red-ui-flow-port-input .red-ui-flow-port'));
    await page.mouse.down();
    await page.mouse.move(to.x - 10, to.y, { steps: 5 });
    await page.mouse.move(to.x, to.y, { steps: 2 });
    await page.mouse.up();
  }

  async open(id: string): Promise<void> {
    await this.#editor.page.locator(`g.red-ui-flow-node-group[id="${id}"]`).dblclick();
    await this.#editor.dialogOpened();
  }

  #ids(type: string): Promise<string[]> {
    return this.#editor.page.evaluate((wanted) => {
      const { RED } = globalThis as unknown as Canvas;
      const ids: string[] = [];
      RED.nodes.eachNode((node) => {
        if (node.type === wanted) ids.push(node.id);
      });
      return ids;
    }, type);
  }
}

async function centre(locator: Locator): Promise<{ x: number; y: number }> {
  await locator.waitFor();
  const box = await locator.boundingBox();
  if (box === null) throw new Error('not on the screen');
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}
