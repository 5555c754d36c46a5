import assert from 'node:assert/strict';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { openSections } from './support/form.ts';
import { startWorld, type World } from './support/world.ts';

/** The editor makes a dialog as wide as its longest line; so much of 1400 px leaves the flow behind it to be seen. */
const WIDEST = 720;

const OUR_NODES = `(() => {
  const ids = [];
  const note = (node) => {
    if (node._def.set?.module === 'node-red-contrib-salesforce-bulk') ids.push(node.id);
  };
  RED.nodes.eachNode(note);
  RED.nodes.eachConfig(note);
  return ids;
})()`;

interface Box {
  scrollWidth: number;
  clientWidth: number;
}

describe('dialogs', function () {
  this.timeout(60_000);
  let world: World;
  let editor: Editor;

  before(async () => {
    world = await startWorld('5');
    await world.deploy();
    // The language of the longest words.
    editor = await openEditor(world.nodeRed.url, {
      language: 'de',
      viewport: { width: 1400, height: 900 },
    });
  });
  after(async () => {
    await closeBrowser();
    await world.stop();
  });

  it('are no wider than their fields need, and nothing sticks out of them', async () => {
    const ids = await editor.page.evaluate<string[]>(OUR_NODES);
    assert.equal(ids.length, 13);
    for (const id of ids) {
      await editor.edit(id);
      await openSections(editor);
      const width = (await editor.dialog.boundingBox())?.width ?? 0;
      assert.ok(width <= WIDEST, `${id} is ${width} px wide`);
      const body = editor.dialog.locator('.red-ui-tray-body').first();
      const { scrollWidth, clientWidth } = await body.evaluate((element) => {
        const box = element as unknown as Box;
        return { scrollWidth: box.scrollWidth, clientWidth: box.clientWidth };
      });
      assert.ok(scrollWidth <= clientWidth, `${id}: ${scrollWidth} px in ${clientWidth}`);
      await editor.cancel();
    }
  });
});
