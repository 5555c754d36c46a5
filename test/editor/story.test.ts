import assert from 'node:assert/strict';
import type { Locator } from 'playwright-core';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { type NodeRed, startNodeRed } from '../support/node-red.ts';
import { Screenshots } from '../support/screenshots.ts';
import { Hands } from './support/canvas.ts';
import { DebugSidebar } from './support/debug-sidebar.ts';
import { control } from './support/form.ts';
import { allAccountedFor, type SeededSource, seededSource } from './support/seeded-source.ts';

const ROWS = 1_000;
/** Of the first ten rows one has no name, one no valid e-mail address, and one the external id of another. */
const SEED = 3;
const LOAD_MS = 60_000;
const DATABASE = 'CRM database';
const CONNECTION = 'Sandbox org';

/** The nodes of the flow that is built here, and where each is dropped. */
const PLACES = {
  start: { type: 'inject', x: 175, y: 60 },
  runReceipt: { type: 'debug', x: 895, y: 140 },
  jobReceipt: { type: 'debug', x: 455, y: 440 },
  select: { type: 'sync-select', x: 395, y: 60 },
  create: { type: 'sf-bulk-create', x: 635, y: 60 },
  poll: { type: 'sf-bulk-poll', x: 895, y: 60 },
  results: { type: 'sf-bulk-results', x: 215, y: 260 },
  done: { type: 'sync-writeback', x: 935, y: 220 },
  classify: { type: 'sf-failure-classify', x: 455, y: 300 },
  retry: { type: 'sf-single-retry', x: 675, y: 280 },
  healed: { type: 'sync-writeback', x: 935, y: 280 },
  keep: { type: 'dead-letter', x: 655, y: 380 },
  failed: { type: 'sync-writeback', x: 935, y: 380 },
} as const;
type Name = keyof typeof PLACES;

/** From an output, counted from 0. */
const WIRES: [Name, number, Name][] = [
  ['start', 0, 'select'],
  ['select', 0, 'create'],
  ['create', 0, 'poll'],
  ['create', 1, 'keep'],
  ['create', 2, 'runReceipt'],
  ['poll', 0, 'results'],
  ['poll', 1, 'results'],
  ['results', 0, 'done'],
  ['results', 1, 'classify'],
  ['results', 3, 'jobReceipt'],
  ['classify', 0, 'retry'],
  ['classify', 1, 'keep'],
  ['retry', 0, 'healed'],
  ['retry', 1, 'keep'],
  ['keep', 0, 'failed'],
];

/** All wires on the canvas, as `source output target`. */
const DRAWN_WIRES = `RED.nodes.filterLinks({}).map((link) => [link.source.id, link.sourcePort, link.target.id].join(' '))`;

describe('a person builds a load in an empty Node-RED, with mouse and keyboard', function () {
  this.timeout(120_000);
  this.bail(true);
  let source: SeededSource;
  let nodeRed: NodeRed;
  let editor: Editor;
  let hands: Hands;
  let shots: Screenshots;
  const ids = {} as Record<Name, string>;

  before(async () => {
    source = await seededSource({ rows: ROWS, seed: SEED });
    nodeRed = await startNodeRed({ packages: ['linked'] });
    editor = await openEditor(nodeRed.url, { viewport: { width: 1600, height: 1000 } });
    hands = new Hands(editor);
    shots = await Screenshots.of(editor.page, 'story');
  });
  afterEach(() => assert.deepEqual(editor.errors, []));
  after(async () => {
    await closeBrowser();
    await nodeRed?.stop();
    await source?.stop();
  });

  const open = (name: Name): Promise<void> => hands.open(ids[name]);

  /** By the keyboard, as the editor offers for every dialog. */
  async function confirm(): Promise<void> {
    const fields = await editor.dialog
      .locator('.sf-bulk-form, .red-ui-tray-body form')
      .first()
      .elementHandle();
    await editor.page.keyboard.press('Control+Enter');
    await fields?.waitForElementState('hidden');
  }

  /** Types over what a field holds. */
  async function type(label: string, text: string): Promise<void> {
    await control(editor, label).click();
    await editor.page.keyboard.press('Control+a');
    await editor.page.keyboard.type(text);
  }

  /** Fills one field after the other without the mouse; undefined leaves one as it is. */
  async function typeOn(texts: (string | undefined)[]): Promise<void> {
    for (const text of texts) {
      await editor.page.keyboard.press('Tab');
      if (text !== undefined) await editor.page.keyboard.type(text);
    }
  }

  /** Chooses from what the org or the database has, with the arrow keys. */
  async function pick(field: Locator, typed: string, choice: string): Promise<void> {
    await field.click();
    await editor.page.keyboard.press('Control+a');
    await editor.page.keyboard.type(typed);
    const option = editor.page.locator('.sf-bulk-popup [role=option]').filter({ hasText: choice }).first();
    await option.waitFor();
    for (let tries = 0; (await option.getAttribute('aria-selected')) !== 'true' && tries < 20; tries += 1)
      await editor.page.keyboard.press('ArrowDown');
    await editor.page.keyboard.press('Enter');
    assert.equal(await field.inputValue(), choice);
  }

  /** Chooses in a drop-down list by the first letters. */
  async function choose(label: string, choice: string): Promise<void> {
    const list = control(editor, label);
    await list.focus();
    await editor.page.keyboard.type(choice);
    assert.equal(await list.locator('option:checked').innerText(), choice);
  }

  /** Of an editable list; rows are counted from 1. */
  function cell(column: string, row: number): Locator {
    return editor.dialog.getByLabel(column, { exact: true }).nth(row - 1);
  }

  /** Waits for the answer of the runtime that a button of a form asks for. */
  async function ask(button: string): Promise<string> {
    await editor.dialog.getByRole('button', { name: button, exact: true }).click();
    const answer = editor.dialog.locator('.sf-bulk-good, .sf-bulk-bad').first();
    await answer.waitFor({ timeout: 30_000 });
    assert.match((await answer.getAttribute('class')) ?? '', /sf-bulk-good/);
    return answer.innerText();
  }

  async function deploy(): Promise<void> {
    const { page } = editor;
    const before = nodeRed.comms.notifications.length;
    await page.locator('#red-ui-header-button-deploy').click();
    await nodeRed.waitFor(
      () => nodeRed.comms.notifications.slice(before).some(({ name }) => name === 'runtime-deploy'),
      'the flow is deployed',
      30_000,
    );
    await page.locator('#red-ui-header-button-deploy.disabled').waitFor();
    await dismissNotifications();
  }

  /** They lie over what is to be seen. */
  async function dismissNotifications(): Promise<void> {
    const shown = editor.page.locator('.red-ui-notification');
    await shown.first().waitFor();
    await shown.first().click();
    await shown.first().waitFor({ state: 'hidden' });
  }

  it('drags the nodes from the palette', async () => {
    const { page } = editor;
    await page.getByLabel('Hide tips').click();
    await dismissNotifications();
    for (const [name, { type: nodeType, x, y }] of Object.entries(PLACES) as [
      Name,
      (typeof PLACES)[Name],
    ][]) {
      if (name === 'select') {
        await page.getByRole('button', { name: 'Collapse all categories' }).click();
        await page.locator('#red-ui-palette-header-salesforce').click();
      }
      ids[name] = await hands.drop(nodeType, x, y);
    }
    await shots.step('nodes', { keepAs: '1-nodes' });
  });

  it('wires them', async () => {
    for (const [from, output, to] of WIRES) await hands.wire(ids[from], output, ids[to]);
    const drawn = await editor.page.evaluate<string[]>(DRAWN_WIRES);
    assert.deepEqual(
      drawn.sort(),
      WIRES.map(([from, output, to]) => `${ids[from]} ${output} ${ids[to]}`).sort(),
    );
    await shots.step('wires', { keepAs: '2-wires' });
  });

  it('tells the select where the database is', async () => {
    const { host, port, database, user, password } = source.database;
    await open('select');
    await editor.dialog.getByRole('button', { name: 'Add new: Database' }).click();
    await editor.dialogOpened('config');
    await type('Name', DATABASE);
    await typeOn([host, String(port), database, user, password]);
    await shots.step('database');
    await confirm();
    await editor.dialogOpened();
    await confirm();
  });

  it('tells the load which org it is for, and gives it a ledger', async () => {
    const { url, credentials } = source.org;
    await open('create');
    await editor.dialog.getByRole('button', { name: 'Add new: Connection' }).click();
    await editor.dialogOpened('config');
    await type('Name', CONNECTION);
    await typeOn([undefined, url, credentials.clientId, credentials.clientSecret]);
    await choose('Ledger', DATABASE);
    await shots.step('connection');
    await confirm();
    await editor.dialogOpened();
    await confirm();
  });

  it('gives the other nodes the same database and connection: they need no more', async () => {
    for (const name of ['poll', 'results', 'retry'] satisfies Name[]) {
      await open(name);
      await choose('Connection', CONNECTION);
      if (name === 'poll') await type('Ask every', '1');
      await shots.step(name);
      await confirm();
    }
    for (const name of ['done', 'healed', 'keep', 'failed'] satisfies Name[]) {
      await open(name);
      await choose('Database', DATABASE);
      await confirm();
    }
  });

  it('deploys, and no node has anything to complain about', async () => {
    assert.equal(await editor.page.locator('.red-ui-flow-node-error:not(.hide)').count(), 0);
    await deploy();
    await shots.step('deployed');
    assert.deepEqual(
      nodeRed.comms.statuses.filter(({ fill }) => fill === 'red'),
      [],
    );
  });

  it('tests the database, and looks at the first rows of the query', async () => {
    await open('select');
    await editor.dialog.getByRole('button', { name: 'Edit: Database' }).click();
    await editor.dialogOpened('config');
    assert.match(await ask('Test connection'), /PostgreSQL \d+/);
    await shots.step('database-tested', { keepAs: '3-database' });
    await editor.cancel();
    await editor.dialogOpened();
    assert.match(await ask('Preview 10 rows'), /10\s+Zoë Ng\s+row10@example\.com/);
    await shots.step('preview', { keepAs: '4-preview' });
    await confirm();
  });

  it('tests the connection, and maps columns to fields of the org', async () => {
    await open('create');
    await editor.dialog.getByRole('button', { name: 'Edit: Connection' }).click();
    await editor.dialogOpened('config');
    await ask('Test connection');
    await shots.step('connection-tested', { keepAs: '5-connection' });
    await editor.cancel();
    await editor.dialogOpened();

    await pick(control(editor, 'Object'), 'Cont', 'Contact');
    await pick(control(editor, 'External ID field'), 'ext', 'External_Id__c');
    const mapByName = editor.dialog.getByRole('button', { name: 'Map by name' });
    await mapByName.focus();
    await editor.page.keyboard.press('Enter');
    const fields = editor.dialog.getByLabel('Salesforce field', { exact: true });
    await fields.nth(3).waitFor();
    assert.deepEqual(await Promise.all((await fields.all()).map((field) => field.inputValue())), [
      'LastName',
      'Email',
      'Phone',
      'External_Id__c',
    ]);
    assert.equal(await editor.dialog.locator('#node-input-mapping-warnings').innerText(), '');
    await shots.step('mapping', { keepAs: '6-mapping' });
    await confirm();
  });

  it('tries out what an error would be taken for', async () => {
    await open('classify');
    await control(editor, 'Try it').click();
    await editor.page.keyboard.type(
      'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: 001xx000003DGb1AAG:--',
    );
    await editor.dialog.locator('.sf-bulk-good').waitFor();
    await shots.step('try-it', { keepAs: '7-failures' });
    await confirm();
  });

  it('says what becomes of the source rows, and names what will show the receipts', async () => {
    await open('runReceipt');
    await type('Name', 'receipt of the run');
    await confirm();

    await open('jobReceipt');
    await type('Name', 'receipt of the job');
    await confirm();

    await open('done');
    await type('Name', 'DONE');
    await confirm();

    await open('healed');
    await type('Name', 'DONE on retry');
    await pick(cell('Value', 2), 'sfI', 'sfId');
    await confirm();

    await open('failed');
    await type('Name', 'FAILED');
    await cell('Value', 1).fill('FAILED');
    await pick(cell('Column', 2), 'err', 'sync_error');
    await pick(cell('Value', 2), 'err', 'error');
    await shots.step('write-back', { keepAs: '8-write-back' });
    await confirm();
  });

  it('loads', async () => {
    await deploy();
    await editor.page.locator(`[id="${ids.start}"]`).locator('.red-ui-flow-node-button-button').click();
    await dismissNotifications();
    const sidebar = new DebugSidebar(editor.page);
    const receipt = await sidebar.waitFor('receipt of the run', LOAD_MS);
    const { received, succeeded, retried, deadLettered } = await sidebar.read(receipt);
    const { loaded, healed, permanent } = source.expected;
    // The nodes say so a moment after the receipt.
    for (const said of [
      `${loaded.toLocaleString('en-US')} ok, ${healed + permanent} failed`,
      `${healed} retried`,
    ])
      await editor.page.getByText(said).waitFor();
    await shots.step('loaded', { keepAs: '9-loaded' });
    assert.deepEqual(
      [received, succeeded, retried, deadLettered],
      [ROWS, loaded, healed, permanent].map(String),
    );
    assert.equal(await sidebar.from().count(), 2, 'two receipts and no error');
    assert.deepEqual(await source.count(), allAccountedFor(source.expected));
  });
});
