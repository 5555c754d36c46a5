import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { REPOSITORY } from '../support/node-red-package.ts';
import { Hands } from './support/canvas.ts';
import { control, enter } from './support/form.ts';
import { startWorld, type World } from './support/world.ts';

/** Set SF_BULK_IMAGES=docs/images to take the pictures of the README anew. */
const IMAGES = join(REPOSITORY, process.env.SF_BULK_IMAGES ?? '.test-output/story');
const ROWS = 1000;

/** All wires on the canvas, as `source output target`. */
const WIRES = `RED.nodes.filterLinks({}).map((link) => link.source.type + ' ' + link.sourcePort + ' ' + link.target.type)`;

describe('from an empty Node-RED to 1,000 loaded rows, by mouse and keyboard', function () {
  this.timeout(120_000);
  let world: World;
  let editor: Editor;
  let hands: Hands;
  const ids: Record<string, string> = {};

  before(async () => {
    mkdirSync(IMAGES, { recursive: true });
    world = await startWorld('5', { rows: ROWS });
    editor = await openEditor(world.nodeRed.url, { viewport: { width: 1600, height: 900 } });
    hands = new Hands(editor);
  });
  after(async () => {
    await closeBrowser();
    await world.stop();
  });
  afterEach(function () {
    // The story goes on only from where it is.
    if (this.currentTest?.state === 'failed') this.test?.parent?.bail(true);
  });

  async function picture(name: string): Promise<void> {
    await editor.page.locator('.red-ui-notification').first().waitFor({ state: 'hidden' });
    await editor.page.screenshot({ path: join(IMAGES, `${name}.png`) });
  }
  const field = (label: string, value: string) => enter(editor, { label, value, property: '' });
  const id = (name: string) => ids[name] ?? assert.fail(`${name} is not on the canvas`);

  it('drags the nodes from the palette', async () => {
    await editor.page.locator('[data-palette-type="sync-writeback"]').scrollIntoViewIfNeeded();
    await picture('1-palette');
    const places: [string, number, number][] = [
      ['inject', 150, 60],
      ['sync-select', 390, 60],
      ['sf-bulk-create', 650, 60],
      ['sf-bulk-poll', 900, 60],
      ['sf-bulk-results', 180, 220],
      ['sf-failure-classify', 420, 240],
      ['sf-single-retry', 670, 290],
      ['dead-letter', 640, 420],
      ['sync-writeback', 900, 200],
      ['debug', 900, 340],
    ];
    for (const [type, x, y] of places) ids[type] = await hands.drop(type, x, y);
  });

  it('sets up the database and the query', async () => {
    await hands.open(id('sync-select'));
    await editor.dialog.getByRole('button', { name: 'Add new: Database' }).click();
    await editor.dialogOpened('config');
    const { host, port, database } = world.database;
    await field('Host', host);
    await field('Port', String(port));
    await field('Database', database);
    await field('User', 'editor_test');
    await field('Password', world.database.password);
    await picture('2-database');
    await editor.ok();
    await picture('3-query');
    await editor.ok();
  });

  it('sets up the connection to the org', async () => {
    await hands.open(id('sf-bulk-create'));
    await editor.dialog.getByRole('button', { name: 'Add new: Connection' }).click();
    await editor.dialogOpened('config');
    await field('Name', 'Sandbox');
    await field('Login URL', world.org.url);
    await field('Consumer key', world.org.credentials.clientId);
    await field('Consumer secret', world.org.credentials.clientSecret);
    await control(editor, 'Ledger').selectOption({ index: 0 });
    await editor.ok();
    await editor.ok();
  });

  it('wires the nodes', async () => {
    const wires: [string, number, string][] = [
      ['inject', 0, 'sync-select'],
      ['sync-select', 0, 'sf-bulk-create'],
      ['sf-bulk-create', 0, 'sf-bulk-poll'],
      ['sf-bulk-create', 1, 'dead-letter'],
      ['sf-bulk-create', 2, 'debug'],
      ['sf-bulk-poll', 0, 'sf-bulk-results'],
      ['sf-bulk-poll', 1, 'sf-bulk-results'],
      ['sf-bulk-results', 0, 'sync-writeback'],
      ['sf-bulk-results', 1, 'sf-failure-classify'],
      ['sf-bulk-results', 3, 'debug'],
      ['sf-failure-classify', 0, 'sf-single-retry'],
      ['sf-failure-classify', 1, 'dead-letter'],
      ['sf-single-retry', 0, 'sync-writeback'],
      ['sf-single-retry', 1, 'dead-letter'],
    ];
    for (const [source, output, target] of wires) await hands.wire(id(source), output, id(target));
    const drawn = await editor.page.evaluate<string[]>(WIRES);
    assert.deepEqual(
      drawn.sort(),
      wires.map(([source, output, target]) => `${source} ${output} ${target}`).sort(),
    );
    await picture('4-wires');
  });

  it('chooses connection and database for the others', async () => {
    for (const type of ['sf-bulk-poll', 'sf-bulk-results', 'sf-single-retry']) {
      await hands.open(id(type));
      await control(editor, 'Connection').selectOption({ label: 'Sandbox' });
      if (type === 'sf-bulk-poll') {
        await field('Ask every', '1');
        await field('Growing to', '5');
      }
      await editor.ok();
    }
    for (const type of ['dead-letter', 'sync-writeback']) {
      await hands.open(id(type));
      await control(editor, 'Database').selectOption({ index: 0 });
      await editor.ok();
    }
  });

  it('deploys, and tests the connection', async () => {
    await editor.deploy();
    await hands.open(id('sf-bulk-create'));
    await editor.dialog.getByRole('button', { name: 'Edit: Connection' }).click();
    await editor.dialogOpened('config');
    await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
    await editor.dialog.getByText('Sandbox Org').waitFor();
    await picture('5-connection');
    await editor.cancel();
    await editor.cancel();
  });

  it('maps the columns by name', async () => {
    await hands.open(id('sf-bulk-create'));
    await editor.dialog.getByText(/\d fields of Contact/).waitFor();
    await field('External ID field', 'External_Id__c');
    await editor.dialog.getByText('Map by name', { exact: true }).click();
    assert.equal(await editor.dialog.locator('#node-input-mapping-warnings').textContent(), '');
    await picture('6-mapping');
    await editor.ok();
  });

  it('previews the query', async () => {
    await hands.open(id('sync-select'));
    await editor.dialog.getByRole('button', { name: 'Preview 10 rows' }).click();
    await editor.dialog.getByRole('region', { name: 'Preview of the query' }).waitFor();
    await picture('7-preview');
    await editor.cancel();
  });

  it('deploys and loads', async () => {
    await editor.deploy();
    await editor.page.evaluate("RED.sidebar.show('debug')");
    const button = editor.page.locator(
      `g.red-ui-flow-node-group[id="${id('inject')}"] .red-ui-flow-node-button-button`,
    );
    await button.click();
    const run = editor.page.locator('.red-ui-debug-msg').filter({ hasText: 'object' });
    await run.nth(1).waitFor({ timeout: 60_000 });
    await editor.page
      .locator('.red-ui-flow-node-status-label')
      .getByText(/[1-9]\d* retried/)
      .waitFor();
    await editor.page.evaluate("document.querySelector('#red-ui-workspace-chart').scrollTo(0, 0)");
    await run.last().locator('.red-ui-debug-msg-object-handle').first().click();
    await picture('8-loaded');
    assert.equal(
      await editor.page.locator('.red-ui-debug-msg-level-20').count(),
      0,
      'no error in the debug sidebar',
    );
    assert.deepEqual(editor.errors, []);
  });

  it('has every row in the org, in the dead letters or back in the table', async () => {
    const stored = [...world.org.records('Contact')].length;
    assert.ok(stored > ROWS * 0.9 && stored < ROWS, `${stored} in the org`);
    const { done, dead, ready } = await world.counts();
    assert.deepEqual({ done, sum: done + dead }, { done: stored, sum: ROWS });
    assert.equal(ready, dead);
  });
});
