import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { type NodeRed, startNodeRed } from '../support/node-red.ts';
import { REPOSITORY } from '../support/node-red-package.ts';
import { until } from '../support/until.ts';

const PACKAGE = 'node-red-contrib-salesforce-bulk';
const NAMES = globSync('examples/*.json', { cwd: REPOSITORY }).map((file) => basename(file, '.json'));

/** As a person would have set them; nothing listens there. */
const ENV = {
  SF_LOGIN_URL: 'http://127.0.0.1:9',
  SF_CLIENT_ID: 'id',
  SF_CLIENT_SECRET: 'secret',
  PGHOST: '127.0.0.1',
  PGPORT: '9',
  PGDATABASE: 'd',
  PGUSER: 'u',
  PGPASSWORD: 'p',
};

interface EditorGlobals {
  RED: {
    nodes: {
      eachNode(visit: (node: { type: string; valid: boolean }) => void): void;
      eachConfig(visit: (node: { type: string; valid: boolean }) => void): void;
      getWorkspaceOrder(): string[];
    };
  };
}

describe('an example in the editor', () => {
  let nodeRed: NodeRed;
  let editor: Editor;

  before(async () => {
    nodeRed = await startNodeRed({ packages: ['linked'], env: ENV });
  });
  after(async () => {
    await closeBrowser();
    await nodeRed.stop();
  });
  beforeEach(async () => {
    editor = await openEditor(nodeRed.url);
  });
  afterEach(() => editor.close());

  async function importExample(name: string): Promise<void> {
    const { page } = editor;
    const examples = page.locator('#red-ui-clipboard-dialog-import-tab-examples');
    const label = (text: string) =>
      examples.locator('.red-ui-treeList-label').filter({ hasText: text }).last();
    await page.locator('#red-ui-workspace-chart').click();
    await page.keyboard.press('Control+i');
    await page.locator('a[href="#red-ui-clipboard-dialog-import-tab-examples"]').click();
    await label(PACKAGE).click();
    // They are fetched now; until then “flows” would be the heading above all packages.
    await label('replay dead letters').waitFor();
    await label(name).click();
    await page.locator('#red-ui-clipboard-dialog-ok').click();
  }

  /** What is in the editor: how many tabs and configuration nodes, and which nodes are not fit to be deployed. */
  function inEditor(): Promise<{ tabs: number; configs: number; invalid: string[] }> {
    return editor.page.evaluate(() => {
      const { RED } = globalThis as unknown as EditorGlobals;
      const invalid: string[] = [];
      let configs = 0;
      const look = ({ type, valid }: { type: string; valid: boolean }) => {
        if (!valid) invalid.push(type);
      };
      RED.nodes.eachNode(look);
      RED.nodes.eachConfig((node) => {
        configs += 1;
        look(node);
      });
      return { tabs: RED.nodes.getWorkspaceOrder().length, configs, invalid };
    });
  }

  for (const name of NAMES) {
    it(`“${name}” is imported from the menu without a warning, fit to be deployed`, async () => {
      await importExample(name);
      const notification = editor.page.locator('.red-ui-notification');
      await notification.first().waitFor();
      const texts = await notification.allInnerTexts();
      assert.equal(texts.length, 1);
      assert.match(texts[0] ?? '', /^Imported:\s+1 flow\s+\d+ nodes\s+\d groups\s+2 configuration nodes$/);
      assert.deepEqual(await inEditor(), { tabs: 2, configs: 2, invalid: [] });
      assert.deepEqual(editor.errors, []);
    });
  }

  it('finds the configuration nodes of an example that was imported before', async () => {
    await importExample('flows');
    await editor.page.locator('.red-ui-notification').first().waitFor();
    await importExample('replay dead letters');
    await editor.page.getByRole('button', { name: 'Import copy' }).click();
    await editor.page
      .locator('.red-ui-notification', { hasText: /Imported:/ })
      .last()
      .waitFor();
    await until(async () => (await inEditor()).tabs === 3, 'both are imported');
    assert.deepEqual(await inEditor(), { tabs: 3, configs: 2, invalid: [] });
  });

  it('is deployed without a complaint, its credentials taken from the environment', async () => {
    await importExample('flows');
    await editor.page.locator('.red-ui-notification').first().waitFor();
    const before = nodeRed.logs.length;
    await editor.deploy();
    await nodeRed.waitFor(
      async () => (await nodeRed.flows()).some(({ type }) => type === 'sf-connection'),
      'the example is deployed',
    );
    const connection = (await nodeRed.flows()).find(({ type }) => type === 'sf-connection');
    assert.equal(connection?.credentials, undefined);
    const kept = await nodeRed.request<Record<string, unknown>>(
      'GET',
      `credentials/sf-connection/${connection?.id}`,
    );
    assert.equal(kept.clientId, `\${SF_CLIENT_ID}`);
    assert.equal(kept.has_clientSecret, true);
    const complaints = nodeRed.logs.slice(before).filter((line) => /CONFIG_INVALID|not set/.test(line));
    assert.deepEqual(complaints, []);
  });
});
