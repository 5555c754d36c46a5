import assert from 'node:assert/strict';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { control, openSections } from './support/form.ts';
import { startWorld, VERSIONS, type World } from './support/world.ts';

const RULE = { match: 'code', value: 'A', category: 'LOCK', retryable: '${RETRY}' };

/** As flows from files have them. */
const CHANGES: Record<string, Record<string, unknown>> = {
  'sf-failure-classify': { rules: [RULE, { value: 'B', category: 'LOCK', retryable: 'true' }] },
  'dead-letter': { createTable: '${CREATE}' },
  'sf-bulk-create': { operation: '${OPERATION}', mode: '${MODE}', externalIdField: 'Key__c' },
  conn2: { authFlow: '${FLOW}' },
};

for (const version of VERSIONS) {
  describe(`forms in Node-RED ${version} with values from the environment`, function () {
    this.timeout(60_000);
    let world: World;
    let editor: Editor;

    before(async () => {
      world = await startWorld(version);
      await world.deploy();
      editor = await openEditor(world.nodeRed.url);
    });
    beforeEach(() => deploy(CHANGES));
    afterEach(() => assert.deepEqual(editor.errors, []));
    after(async () => {
      await closeBrowser();
      await world.stop();
    });

    async function deploy(changes: Record<string, Record<string, unknown>>): Promise<void> {
      const flows = await world.nodeRed.flows();
      await world.nodeRed.deploy(flows.map((node) => ({ ...node, ...changes[node.id] })));
      await editor.load();
    }

    async function openAndSave(id: string): Promise<Record<string, unknown>> {
      await editor.edit(id);
      await editor.ok();
      return editor.node(id);
    }

    const createTable = () => control(editor, 'Create the table if it does not exist');

    it('keep whether a rule retries, and how it matches', async () => {
      const { rules } = await openAndSave('sf-failure-classify');
      assert.deepEqual(rules, [RULE, { match: 'contains', value: 'B', category: 'LOCK', retryable: true }]);
    });

    it('say that such a rule cannot be tried', async () => {
      await editor.edit('sf-failure-classify');
      await control(editor, 'Try it').fill('A:text');
      await editor.dialog.getByText('rule 1 takes a value from the environment').waitFor();
      await editor.cancel();
    });

    it('keep whether to create a table', async () => {
      assert.equal((await openAndSave('dead-letter')).createTable, '${CREATE}');
      await editor.edit('dead-letter');
      await editor.dialog.getByText('${CREATE}').waitFor();
      await createTable().check();
      await editor.ok();
      assert.equal((await editor.node('dead-letter')).createTable, true);
    });

    for (const [given, expected] of [
      [undefined, true],
      ['false', false],
      [false, false],
    ] as const) {
      it(`take createTable ${JSON.stringify(given)} for ${expected}, as the runtime does`, async () => {
        await deploy({ 'dead-letter': { createTable: given } });
        await editor.edit('dead-letter');
        assert.equal(await createTable().isChecked(), expected);
        await editor.ok();
        assert.equal((await editor.node('dead-letter')).createTable, expected);
      });
    }

    it('show every field that the variable may make count', async () => {
      for (const id of ['sf-bulk-create', 'conn2']) {
        await editor.edit(id);
        await openSections(editor);
        const rows = editor.dialog.locator('.form-row[data-operation], .form-row[data-flow]');
        assert.ok((await rows.count()) > 0);
        for (const row of await rows.all()) assert.ok(await row.isVisible(), await row.innerText());
        await editor.cancel();
      }
    });
  });
}
