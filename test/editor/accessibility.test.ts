import assert from 'node:assert/strict';
import { closeBrowser, type Editor, openEditor, type Theme } from '../support/browser.ts';
import type { NodeRedVersion } from '../support/node-red.ts';
import { seriousFindings } from './support/axe.ts';
import { openSections } from './support/form.ts';
import { startWorld, type World } from './support/world.ts';

/** Node-RED 4.1 has no dark theme. */
const LOOKS: { version: NodeRedVersion; theme: Theme }[] = [
  { version: '5', theme: 'light' },
  { version: '5', theme: 'dark' },
  { version: '4', theme: 'light' },
];

const NODES = [
  'sync-select',
  'sf-bulk-create',
  'sf-bulk-poll',
  'sf-bulk-results',
  'sf-failure-classify',
  'sf-single-retry',
  'dead-letter',
  'dead-letter-replay',
  'sync-writeback',
  'conn',
  'db',
];

/** What a person does in a form before it shows all that it has. */
const REVEAL: Record<string, (editor: Editor) => Promise<void>> = {
  'sync-select': async ({ dialog }) => {
    await dialog.getByRole('button', { name: 'Preview 10 rows' }).click();
    await dialog.getByRole('region', { name: 'Preview of the query' }).waitFor();
  },
  'sf-bulk-create': async ({ dialog }) => {
    await dialog.locator('#node-input-mapping-warnings p').first().waitFor();
    await dialog.getByLabel('Mode', { exact: true }).selectOption('serial');
    await dialog.getByText('Map by name', { exact: true }).click();
  },
  'sf-failure-classify': async ({ dialog }) => {
    await dialog.getByText('rule', { exact: true }).click();
    await dialog
      .getByLabel('Try it')
      .fill('UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--');
    await dialog.locator('.sf-bulk-good').waitFor();
    await dialog.getByRole('region', { name: 'Rules of the rule set' }).waitFor();
  },
  conn: async ({ dialog }) => {
    await dialog.getByRole('button', { name: 'Test connection' }).click();
    await dialog.locator('.sf-bulk-good').waitFor();
  },
  db: async ({ dialog }) => {
    await dialog.getByLabel('Host', { exact: true }).fill('db.example.com');
    await dialog.getByRole('button', { name: 'Test connection' }).click();
    await dialog.locator('.sf-bulk-good').waitFor();
  },
};

for (const { version, theme } of LOOKS) {
  describe(`forms for everybody: Node-RED ${version}, ${theme}`, function () {
    this.timeout(60_000);
    let world: World;
    let editor: Editor;

    before(async () => {
      world = await startWorld(version);
      await world.deploy();
      editor = await openEditor(world.nodeRed.url, { theme });
    });
    after(async () => {
      await closeBrowser();
      await world.stop();
    });
    afterEach(async () => {
      if ((await editor.page.locator('.red-ui-tray').count()) > 0) await editor.load();
    });

    for (const id of NODES) {
      it(`${id}: no serious finding`, async () => {
        await editor.edit(id);
        await openSections(editor);
        await REVEAL[id]?.(editor);
        assert.deepEqual(await seriousFindings(editor.page, '.sf-bulk-form'), []);
        await editor.cancel();
      });
    }

    it('the list of a combo box: no serious finding', async () => {
      await editor.edit('sf-bulk-create');
      await editor.dialog.getByRole('button', { name: 'Choose: Object' }).click();
      await editor.page.locator('.sf-bulk-popup [role=option]').first().waitFor();
      assert.deepEqual(await seriousFindings(editor.page, '.sf-bulk-popup'), []);
      await editor.page.keyboard.press('Escape');
      await editor.cancel();
    });

    it('removing rows by keyboard leaves the focus in the list', async () => {
      await editor.edit('sync-writeback');
      const rows = editor.dialog.locator(
        'ol.red-ui-editableList-list > li:not(.red-ui-editableList-item-deleting)',
      );
      const removes = rows.getByRole('button', { name: 'Remove this row' });
      const second = await removes.nth(1).elementHandle();
      await removes.first().focus();
      await editor.page.keyboard.press('Enter');
      assert.ok(await second?.evaluate((button) => button === button.ownerDocument.activeElement));
      assert.equal(await rows.count(), 1);
      await editor.page.keyboard.press('Enter');
      assert.equal(await rows.count(), 0);
      await editor.page.keyboard.press('Enter');
      assert.equal(await rows.count(), 1, 'the focus is on the button for a new row');
      await editor.cancel();
    });

    it('every control can be reached with the Tab key and shows where the focus is', async () => {
      await editor.edit('sf-bulk-create');
      await editor.dialog.getByText('field', { exact: true }).click();
      await openSections(editor);
      const wanted = await editor.page.evaluate<string[]>(FOCUSABLE);
      await editor.dialog.getByLabel('Name', { exact: true }).focus();
      const reached = new Set<string>();
      for (let step = 0; step < wanted.length * 2; step += 1) {
        reached.add(await editor.page.evaluate<string>(FOCUSED));
        await editor.page.keyboard.press('Tab');
      }
      assert.deepEqual(
        wanted.filter((name) => !reached.has(name)),
        [],
      );
      await editor.cancel();
    });
  });
}

/** Controls by name, without those that only repeat a neighbour for the mouse (`tabindex` -1). */
const FOCUSABLE = `[...document.querySelectorAll('.sf-bulk-form :is(input, select, textarea, button, a, summary, [tabindex])')]
  .filter((element) => element.offsetParent && element.tabIndex >= 0 && !element.disabled)
  .map((element) => element.id || element.getAttribute('aria-label') || element.textContent.trim())`;

const FOCUSED = `document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()`;
