import assert from 'node:assert/strict';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { type NodeRed, startNodeRed } from '../support/node-red.ts';
import { Screenshots } from '../support/screenshots.ts';
import { DebugSidebar } from './support/debug-sidebar.ts';
import { allAccountedFor, type SeededSource, seededSource } from './support/seeded-source.ts';

const PACKAGE = 'node-red-contrib-salesforce-bulk';
const ROWS = 2_000;
/** The example's poll begins with 10 s. */
const LOAD_MS = 60_000;

/** What is not in the editor: the environment of Node-RED, as the README says to set it. */
function environment({ org, database }: SeededSource): Record<string, string> {
  return {
    SF_LOGIN_URL: org.url,
    SF_CLIENT_ID: org.credentials.clientId,
    SF_CLIENT_SECRET: org.credentials.clientSecret,
    PGHOST: database.host,
    PGPORT: String(database.port),
    PGDATABASE: database.database,
    PGUSER: database.user,
    PGPASSWORD: database.password,
  };
}

describe('the example, imported from the menu of a Node-RED that has the package from its tarball', function () {
  this.timeout(120_000);
  this.bail(true);
  let source: SeededSource;
  let nodeRed: NodeRed;
  let editor: Editor;
  let shots: Screenshots;

  before(async () => {
    source = await seededSource({ rows: ROWS });
    nodeRed = await startNodeRed({ packages: ['tarball'], env: environment(source) });
    editor = await openEditor(nodeRed.url);
    // The flow is as wide as a usual screen leaves it.
    await editor.page.setViewportSize({ width: 1500, height: 1000 });
    shots = await Screenshots.of(editor.page, 'example');
  });
  after(async () => {
    await closeBrowser();
    await nodeRed?.stop();
    await source?.stop();
  });

  it('is imported without a warning', async () => {
    const { page } = editor;
    await page.locator('#red-ui-header-button-sidemenu').click();
    await page.locator('.red-ui-menu-dropdown:visible').getByText('Import', { exact: true }).click();
    await page.locator('a[href="#red-ui-clipboard-dialog-import-tab-examples"]').click();
    const tree = page.locator('#red-ui-clipboard-dialog-import-tab-examples');
    await tree.getByText(PACKAGE, { exact: true }).click();
    // Its files are fetched now; the heading above all packages is called “flows” too.
    await tree.getByText('replay dead letters', { exact: true }).waitFor();
    await tree.getByText('flows', { exact: true }).last().click();
    await shots.step('import');
    await page.locator('#red-ui-clipboard-dialog-ok').click();

    const notifications = page.locator('.red-ui-notification');
    await notifications.first().waitFor();
    const texts = await notifications.allInnerTexts();
    assert.equal(texts.length, 1);
    assert.match(texts[0] ?? '', /^Imported:\s+1 flow\s+\d+ nodes\s+7 groups\s+2 configuration nodes$/);
    await page.locator('.red-ui-tab').getByText('Load contacts', { exact: true }).click();
    await page.getByText('load now', { exact: true }).waitFor();
    assert.equal(await page.locator('.red-ui-flow-node-error:not(.hide)').count(), 0);
    await shots.step('imported');
    assert.deepEqual(editor.errors, []);
  });

  it('is deployed without a question, and shows no status that is red', async () => {
    const { page } = editor;
    await page.locator('#red-ui-header-button-deploy').click();
    const told = page.getByText('Successfully deployed');
    await told.waitFor({ timeout: 30_000 });
    await shots.step('deployed');
    await told.click();
    assert.deepEqual(
      nodeRed.comms.statuses.filter(({ fill }) => fill === 'red'),
      [],
    );
    assert.deepEqual(editor.errors, []);
  });

  it('loads at a click on its inject button, and the debug sidebar tells how it went', async () => {
    const { page } = editor;
    const sidebar = new DebugSidebar(page);
    const button = page
      .locator('.red-ui-flow-node-group')
      .filter({ hasText: 'load now' })
      .locator('.red-ui-flow-node-button-button');
    await button.click();

    const batch = await sidebar.waitFor('batches', LOAD_MS);
    await shots.step('batches');
    const receipt = await sidebar.waitFor('receipt of the run', LOAD_MS);
    const { loaded, healed, permanent } = source.expected;
    assert.match(await batch.innerText(), new RegExp(`records: ${ROWS},`));

    const failures = await sidebar.from('failures').allInnerTexts();
    const counted = failures.map((text) => Number(/failures: (\d+)/.exec(text)?.[1] ?? Number.NaN));
    assert.equal(
      counted.reduce((sum, count) => sum + count, 0),
      healed + permanent,
    );

    const shown = await sidebar.read(receipt);
    await page.getByText(`${loaded.toLocaleString('en-US')} ok, ${healed + permanent} failed`).waitFor();
    await shots.step('receipt', { keepAs: 'example-loaded' });
    assert.deepEqual(pick(shown, ['received', 'succeeded', 'retried', 'deadLettered', 'unaccounted']), {
      received: String(ROWS),
      succeeded: String(loaded),
      retried: String(healed),
      deadLettered: String(permanent),
      unaccounted: '0',
    });
    assert.equal(await sidebar.from('errors').count(), 0);
    assert.deepEqual(editor.errors, []);
    // So tall that the whole flow is in sight.
    await page.setViewportSize({ width: 1500, height: 1600 });
    await shots.step('flow', { keepAs: 'example-flow', around: page.locator('.red-ui-flow-group') });
  });

  it('leaves source rows, org and dead letters in agreement', async () => {
    assert.deepEqual(await source.count(), allAccountedFor(source.expected));
  });
});

function pick(record: Record<string, string>, names: string[]): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, record[name]]));
}
