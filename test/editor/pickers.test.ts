import assert from 'node:assert/strict';
import type { Locator } from 'playwright-core';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { control } from './support/form.ts';
import { startWorld, VERSIONS, type World } from './support/world.ts';

const AWAY_MS = 20_000;

for (const version of VERSIONS) {
  describe(`forms in Node-RED ${version} ask the org and the database`, function () {
    this.timeout(60_000);
    let world: World;
    let editor: Editor;

    before(async () => {
      world = await startWorld(version);
      await world.deploy();
      editor = await openEditor(world.nodeRed.url);
    });
    afterEach(async () => {
      assert.deepEqual(editor.errors, []);
      // A test that failed leaves its dialog open.
      if ((await editor.page.locator('.red-ui-tray').count()) > 0) await editor.load();
    });
    after(async () => {
      await closeBrowser();
      await world.stop();
    });

    const options = () => editor.page.locator('.sf-bulk-popup [role=option]');
    const names = () => options().locator('span').allTextContents();
    const answer = (id: string): Locator =>
      editor.dialog.locator(`#${id}`).and(editor.page.locator('.sf-bulk-good, .sf-bulk-bad'));

    async function edit(id: string): Promise<void> {
      await editor.edit(id);
      const state = editor.dialog.locator('#node-input-mapping-state');
      if ((await state.count()) > 0)
        await state.and(editor.page.getByText(/fields of|Choose|Deploy|answer/)).waitFor();
    }

    it('finds an object by typing and picks it with the keyboard', async () => {
      await edit('sf-bulk-create');
      const object = control(editor, 'Object');
      await object.fill('');
      await object.pressSequentially('test');
      await options().first().waitFor();
      assert.deepEqual(await names(), ['Load_Test__c']);
      await object.press('ArrowDown');
      assert.equal(await object.getAttribute('aria-expanded'), 'true');
      const active = await object.getAttribute('aria-activedescendant');
      assert.equal(await editor.page.locator(`#${active}`).getAttribute('aria-selected'), 'true');
      await object.press('Enter');
      assert.equal(await object.inputValue(), 'Load_Test__c');
      assert.equal(await options().count(), 0);
      await editor.cancel();
    });

    it('keeps what is typed although no list has it, and closes the list with Escape', async () => {
      await edit('sf-bulk-create');
      const object = control(editor, 'Object');
      await object.fill('My_Own__c');
      await editor.page.getByText('What you typed stays').waitFor();
      await object.press('Escape');
      assert.equal(await editor.page.locator('.sf-bulk-popup').count(), 0);
      await editor.ok();
      assert.equal((await editor.node('sf-bulk-create')).object, 'My_Own__c');
      await editor.load();
    });

    it('offers only fields that can be an external id', async () => {
      await edit('sf-bulk-create');
      await editor.dialog.getByRole('button', { name: 'Choose: External ID field' }).click();
      await options().first().waitFor();
      const found = await names();
      assert.ok(found.includes('External_Id__c'), found.join());
      assert.ok(!found.includes('LastName'), found.join());
      await options().filter({ hasText: 'External_Id__c' }).click();
      assert.equal(await control(editor, 'External ID field').inputValue(), 'External_Id__c');
      await editor.cancel();
    });

    it('warns of columns that are no fields, maps by name, and then has nothing to warn of', async () => {
      await edit('sf-bulk-create');
      const warnings = editor.dialog.locator('#node-input-mapping-warnings');
      assert.match((await warnings.textContent()) ?? '', /not mapped: LastName.*external_id/s);
      await editor.dialog.getByText('Map by name', { exact: true }).click();
      assert.equal(await warnings.textContent(), '');
      assert.match(
        (await editor.dialog.locator('#node-input-mapping-state').textContent()) ?? '',
        /Not mapped: id/,
      );
      await editor.ok();
      assert.deepEqual((await editor.node('sf-bulk-create')).mapping, [
        { from: 'name', to: 'LastName' },
        { from: 'email', to: 'Email' },
        { from: 'phone', to: 'Phone' },
        { from: 'external_id', to: 'External_Id__c' },
      ]);
      await editor.load();
    });

    it('tells type, length and need of a field, and why one cannot be chosen', async () => {
      await edit('sf-bulk-create');
      await editor.dialog.getByText('field', { exact: true }).click();
      await editor.dialog.getByRole('button', { name: 'Choose: Salesforce field' }).click();
      await options().first().waitFor();
      const lastName = options().filter({ has: editor.page.getByText('LastName', { exact: true }) });
      assert.match((await lastName.textContent()) ?? '', /string\(80\).*required/);
      const name = options()
        .filter({ has: editor.page.getByText('Name', { exact: true }) })
        .first();
      assert.match((await name.textContent()) ?? '', /cannot be written/);
      await editor.cancel();
    });

    it('offers the external ids of a parent', async () => {
      await edit('sf-bulk-create');
      await editor.dialog.getByText('field', { exact: true }).click();
      const field = editor.dialog.getByLabel('Salesforce field', { exact: true });
      await field.fill('Account.');
      await options().filter({ hasText: 'Account.External_Id__c' }).click();
      assert.equal(await field.inputValue(), 'Account.External_Id__c');
      await editor.cancel();
    });

    for (const [what, rows, warning] of [
      ['a field that the operation cannot write', [['name', 'Name']], /Name cannot be written by insert/],
      ['a field that is not there', [['name', 'Nothing__c']], /Nothing__c is no field of Contact/],
      [
        'a column whose type cannot fit',
        [
          ['id', 'DoNotCall'],
          ['phone', 'Birthdate'],
          ['id', 'Birthdate'],
        ],
        /id \(bigint\) does not fit Birthdate \(date\)/,
      ],
      ['another spelling', [['email', 'email']], /Write Email instead of email/],
      ['a relationship that is not there', [['id', 'Nobody.Id__c']], /no relationship Nobody/],
    ] satisfies [string, string[][], RegExp][]) {
      it(`warns of ${what}`, async () => {
        await edit('sf-bulk-create');
        for (const [index, [from = '', to = '']] of rows.entries()) {
          await editor.dialog.getByText('field', { exact: true }).click();
          await editor.dialog.getByLabel('Source column', { exact: true }).nth(index).fill(from);
          await editor.dialog.getByLabel('Salesforce field', { exact: true }).nth(index).fill(to);
        }
        await editor.dialog.locator('#node-input-mapping-warnings').getByText(warning).waitFor();
        await editor.cancel();
      });
    }

    it('previews the query, and shows the words of PostgreSQL for a wrong one', async () => {
      await edit('sync-select');
      const preview = editor.dialog.getByRole('button', { name: 'Preview 10 rows' });
      await preview.click();
      const table = editor.dialog.getByRole('region', { name: 'Preview of the query' });
      await table.waitFor();
      assert.equal(await table.locator('tbody tr').count(), 10);
      assert.match((await table.locator('th').nth(0).textContent()) ?? '', /^id.*bigint/);
      await editor.dialog.locator('.sf-bulk-editor .view-lines').click();
      await editor.page.keyboard.press('Control+a');
      await editor.page.keyboard.insertText('SELECT nothing FROM pending_sf_sync');
      await preview.click();
      await editor.dialog.getByText('"nothing" does not exist').waitFor();
      await editor.cancel();
    });

    it('offers tables and columns for the write-back, unique ones named as such', async () => {
      await edit('sync-writeback');
      await editor.dialog.getByRole('button', { name: 'Choose: Table' }).click();
      await options().filter({ hasText: 'pending_sf_sync' }).click();
      await editor.dialog.getByRole('button', { name: 'Choose: Key column' }).click();
      await options().first().waitFor();
      assert.match((await options().first().textContent()) ?? '', /id.*bigint, unique/);
      await editor.page.keyboard.press('Escape');
      await editor.cancel();
    });

    it('tries out rules: the first that matches decides', async () => {
      await edit('sf-failure-classify');
      const verdict = answer('node-input-rules-verdict');
      const text = 'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --';
      await editor.dialog.getByLabel('Try it').fill(text);
      await verdict.getByText('VALIDATION').waitFor();
      assert.match((await verdict.textContent()) ?? '', /LastName.*permanent.*code REQUIRED_FIELD_MISSING/s);
      await editor.dialog.getByText('rule', { exact: true }).click();
      const list = editor.dialog.locator('#node-input-rules-list');
      await list.getByLabel('If the error').selectOption('regex');
      await list.getByLabel('Value').fill('Last(Name)');
      await list.getByLabel('Category').selectOption('SETUP');
      await verdict.getByText('SETUP').waitFor();
      await list.getByLabel('Value').fill('(a)\\1');
      await verdict.getByText('backreferences are not available').waitFor();
      await editor.cancel();
    });

    it('shows the built-in rules', async () => {
      await edit('sf-failure-classify');
      await editor.dialog.getByText('Rules of the rule set').click();
      const rules = editor.dialog.getByRole('region', { name: 'Rules of the rule set' });
      await rules.getByText('code UNABLE_TO_LOCK_ROW', { exact: true }).waitFor();
      await editor.cancel();
    });

    it('tests both connections', async () => {
      await edit('conn');
      await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
      const org = answer('node-config-input-authFlow-result');
      await org.waitFor();
      assert.match(
        (await org.textContent()) ?? '',
        /Sandbox Org.*00D.*load@example\.com.*66\.0.*15,000,000.*15,000/s,
      );
      await editor.cancel();
      await edit('db');
      await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
      const server = answer('node-config-input-host-result');
      await server.waitFor();
      assert.match((await server.textContent()) ?? '', /PostgreSQL \d+.*editor_test.*sf_sync_dead_letter/s);
      await editor.cancel();
    });

    it('says what to do when the database is away, and still takes names by hand', async () => {
      await edit('db2');
      await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
      await editor.dialog.getByText(/host and port are right/).waitFor({ timeout: AWAY_MS });
      await editor.cancel();
      await edit('dead-letter');
      await control(editor, 'Database').selectOption('db2');
      await editor.dialog.getByRole('button', { name: 'Choose: Table' }).click();
      await editor.page
        .locator('.sf-bulk-popup')
        .getByText('You can type the name')
        .waitFor({ timeout: AWAY_MS });
      await control(editor, 'Table').fill('letters');
      await editor.ok();
      assert.equal((await editor.node('dead-letter')).table, 'letters');
      await editor.load();
    });

    it('says what to do when the org is away', async () => {
      await edit('conn2');
      await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
      await editor.dialog
        .getByText(/no login to Salesforce: .* connection refused/)
        .waitFor({ timeout: AWAY_MS });
      await editor.cancel();
    });

    it('asks for a deploy where nothing is deployed yet', async () => {
      await edit('sf-bulk-create');
      await editor.dialog.getByRole('button', { name: 'Add new: Connection' }).press('Enter');
      await editor.page.locator('#node-config-input-loginUrl').waitFor();
      await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
      await editor.dialog.getByText('Deploy first').waitFor();
      await editor.load();
    });
  });
}
