import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import type { FlowNode } from '../support/node-red.ts';
import { enter, type FieldEntry, openSections, shown } from './support/form.ts';
import { startWorld, VERSIONS, type World } from './support/world.ts';

const NAME: FieldEntry = { label: 'Name', value: 'A name – with “ü” & <b>', property: 'name' };
const IN_FLIGHT: FieldEntry = { label: 'In flight', value: '7', property: 'maxInFlight' };
const STUCK: FieldEntry = { label: 'Stuck after', value: '900', property: 'stuckAfter' };
const CONTINUE: FieldEntry = { label: 'After an error', value: 'continue', property: 'onError' };
const CONNECTION: FieldEntry = { label: 'Connection', value: 'conn2', property: 'connection' };
const DATABASE: FieldEntry = { label: 'Database', value: 'db2', property: 'database' };
const CSV: FieldEntry = { label: 'Rows travel as', value: 'csv', property: 'lane' };

const PRIVATE_KEY = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();

/** Another value than the default for every field of every form. */
const FORMS: Record<string, FieldEntry[]> = {
  'sync-select': [
    NAME,
    DATABASE,
    { label: 'Parameters', type: 'expression', value: '[msg.region]', property: 'params' },
    { label: 'Batch size', value: '2500', property: 'batchSize' },
    CONTINUE,
    CSV,
    IN_FLIGHT,
    STUCK,
  ],
  'sf-bulk-create': [
    NAME,
    CONNECTION,
    { label: 'Operation', value: 'upsert', property: 'operation' },
    { label: 'Object', value: 'Invoice__c', property: 'object' },
    { label: 'External ID field', value: 'Number__c', property: 'externalIdField' },
    { label: 'Mode', value: 'serial', property: 'mode' },
    { label: 'Null values', value: 'ignore', property: 'nulls' },
    { label: 'Load name', value: 'nightly', property: 'loadName' },
    { label: 'Records per job', value: '5000', property: 'maxRecordsPerJob' },
    { label: 'Size of a job', value: '12.5', property: 'maxMegabytesPerJob' },
    { label: 'Column delimiter', value: 'CARET', property: 'columnDelimiter' },
    { label: 'Line ending', value: 'CRLF', property: 'lineEnding' },
    { label: 'Assignment rule', value: '01Q000000000001AAA', property: 'assignmentRuleId' },
  ],
  'sf-bulk-poll': [
    NAME,
    CONNECTION,
    { label: 'Ask every', value: '5', property: 'interval' },
    { label: 'Growing to', value: '30', property: 'maxInterval' },
    { label: 'Stalled after', value: '1200', property: 'stallTimeout' },
    { label: 'Give up after', value: `\${POLL_TIMEOUT}`, property: 'timeout' },
    { label: 'Then', value: 'abort', property: 'onTimeout' },
  ],
  'sf-bulk-results': [
    NAME,
    CONNECTION,
    { label: 'Batch size', value: '200', property: 'batchSize' },
    { label: 'Job is settled', value: 'through', property: 'settleWhen' },
    CONTINUE,
    CSV,
    IN_FLIGHT,
    STUCK,
  ],
  'sf-failure-classify': [NAME, { label: 'Otherwise', value: 'mule', property: 'ruleSet' }],
  'sf-single-retry': [
    NAME,
    CONNECTION,
    { label: 'Records go', value: 'individual', property: 'mode' },
    { label: 'Attempts', value: '5', property: 'maxAttempts' },
    { label: 'First wait', value: '0.5', property: 'backoff' },
    { label: 'Side by side', value: '4', property: 'concurrency' },
  ],
  'dead-letter': [
    NAME,
    DATABASE,
    { label: 'Table', value: '"my schema".letters', property: 'table' },
    { label: 'Create the table if it does not exist', value: false, property: 'createTable' },
  ],
  'dead-letter-replay': [
    NAME,
    DATABASE,
    { label: 'Table', value: 'other.letters', property: 'table' },
    { label: 'Category', value: 'LOCK', property: 'category' },
    { label: 'Error code', type: 'msg.', value: 'code', property: 'errorCode' },
    { label: 'Job id', type: 'env variable', value: 'JOB_ID', property: 'jobId' },
    { label: 'At most', type: 'string', value: '10000', property: 'limit' },
    { label: 'Batch size', value: '50', property: 'batchSize' },
    IN_FLIGHT,
  ],
  'sync-writeback': [
    NAME,
    DATABASE,
    { label: 'Table', value: 'source.people', property: 'table' },
    { label: 'Key column', value: 'id', property: 'keyColumn' },
    { label: 'Key field', value: 'Number__c', property: 'keyField' },
  ],
  conn: [
    NAME,
    { label: 'Sign in with', value: 'jwt-bearer', property: 'authFlow' },
    { label: 'Login URL', value: `\${SF_LOGIN_URL}`, property: 'loginUrl' },
    { label: 'Consumer key', value: 'another-client', property: 'clientId', credential: 'text' },
    { label: 'User name', value: 'load@example.com', property: 'username', credential: 'text' },
    { label: 'Private key', value: PRIVATE_KEY, property: 'privateKey', credential: 'secret' },
    { label: 'Ledger', value: 'db', property: 'ledger' },
    { label: 'API version', value: '64.0', property: 'apiVersion' },
    { label: 'Audience', value: 'https://login.salesforce.com', property: 'audience' },
    { label: 'TLS settings', value: 'tls', property: 'tls' },
    { label: 'API budget', value: '75', property: 'apiBudget' },
    { label: 'Keep ledger for', value: '60', property: 'retentionDays' },
  ],
  db: [
    NAME,
    { label: 'Host', value: 'db.example.com', property: 'host' },
    { label: 'Port', value: '6432', property: 'port' },
    { label: 'Database', value: 'crm', property: 'database' },
    { label: 'Encryption', value: 'verify-full', property: 'ssl' },
    { label: 'TLS settings', value: 'tls', property: 'tls' },
    { label: 'Connections', value: '20', property: 'poolSize' },
  ],
};

/** Which kind of value each typed input ends with. */
const TYPES: Record<string, Record<string, string>> = {
  'sync-select': { paramsType: 'jsonata' },
  'dead-letter-replay': { categoryType: 'str', errorCodeType: 'msg', jobIdType: 'env', limitType: 'str' },
};

/** What is no plain field: lists and the code editor. */
const LISTS: Record<string, { fill(editor: Editor): Promise<void>; saved: Record<string, unknown> }> = {
  'sync-select': {
    fill: async (editor) => {
      await editor.dialog.locator('.sf-bulk-editor .view-lines').click();
      await editor.page.keyboard.press('Control+a');
      await editor.page.keyboard.insertText("SELECT 1 AS one\nWHERE 'ä' <> $1");
    },
    saved: { sql: "SELECT 1 AS one\nWHERE 'ä' <> $1" },
  },
  'sf-bulk-create': {
    fill: async (editor) => {
      for (let row = 0; row < 4; row += 1) await editor.dialog.getByText('field', { exact: true }).click();
      await fillRow(editor, 0, { 'Source column': 'name', 'Salesforce field': 'LastName' });
      await fillRow(editor, 1, { 'Source column': 'parent', 'Salesforce field': 'Account.External_Id__c' });
      await fillRow(editor, 2, { 'Source column': 'phone', 'Salesforce field': 'Phone' });
      const handle = editor.dialog.getByRole('button', { name: /^Move this row/ }).nth(1);
      await handle.press('ArrowUp');
      await editor.dialog.getByRole('button', { name: 'Remove this row' }).nth(2).press('Enter');
    },
    saved: {
      mapping: [
        { from: 'parent', to: 'Account.External_Id__c' },
        { from: 'name', to: 'LastName' },
      ],
    },
  },
  'sf-failure-classify': {
    fill: async (editor) => {
      await editor.dialog.getByText('rule', { exact: true }).click();
      await fillRow(editor, 0, {
        'If the error': 'contains',
        Value: 'Approval',
        Category: 'CONDITIONAL',
        Then: 'true',
      });
    },
    saved: { rules: [{ match: 'contains', value: 'Approval', category: 'CONDITIONAL', retryable: true }] },
  },
  'sync-writeback': {
    fill: async (editor) => {
      await editor.dialog.getByText('column', { exact: true }).click();
      await fillRow(editor, 2, { Column: 'sync_error', Becomes: 'field', Value: 'errorMessage' });
    },
    saved: {
      set: [
        { column: 'sync_status', value: 'DONE', valueType: 'str' },
        { column: 'sf_id', value: 'sf__Id', valueType: 'field' },
        { column: 'sync_error', value: 'errorMessage', valueType: 'field' },
      ],
    },
  },
};

async function fillRow(editor: Editor, row: number, cells: Record<string, string>): Promise<void> {
  const entry = editor.dialog
    .locator('.red-ui-editableList-container > li, ol.red-ui-editableList-list > li')
    .nth(row);
  for (const [label, value] of Object.entries(cells)) {
    const field = entry.getByLabel(label, { exact: true });
    const tag = await field.evaluate((element) => (element as unknown as { tagName: string }).tagName);
    if (tag === 'SELECT') await field.selectOption(value);
    else await field.fill(value);
  }
}

for (const version of VERSIONS) {
  describe(`forms in Node-RED ${version}, filled, saved, deployed and reloaded`, function () {
    this.timeout(120_000);
    let world: World;
    let editor: Editor;
    let flows: FlowNode[];

    before(async () => {
      world = await startWorld(version);
      await world.deploy();
      editor = await openEditor(world.nodeRed.url);
      for (const [id, entries] of Object.entries(FORMS)) {
        await editor.edit(id);
        await openSections(editor);
        for (const entry of entries) await enter(editor, entry);
        await LISTS[id]?.fill(editor);
        await editor.ok();
      }
      await editor.deploy();
      await editor.load();
      flows = await world.nodeRed.flows();
    });
    after(async () => {
      await closeBrowser();
      await world.stop();
    });

    for (const [id, entries] of Object.entries(FORMS)) {
      it(`${id} keeps every field`, async () => {
        const node = flows.find((one) => one.id === id) ?? assert.fail(`${id} is not deployed`);
        for (const { property, value, credential } of entries)
          assert.equal(node[property], credential ? undefined : value, property);
        const others = { ...TYPES[id], ...LISTS[id]?.saved };
        for (const [property, value] of Object.entries(others))
          assert.deepEqual(node[property], value, property);

        await editor.edit(id);
        await openSections(editor);
        for (const entry of entries) {
          const expected = entry.credential === 'secret' ? '' : entry.value;
          assert.equal(await shown(editor, entry), expected, entry.label);
        }
        await editor.ok();
      });
    }

    it('was opened and saved unchanged: there is nothing to deploy', async () => {
      assert.equal(await editor.page.locator('#red-ui-header-button-deploy.disabled').count(), 1);
    });

    it('had no error in the console', () => assert.deepEqual(editor.errors, []));

    it('keeps a choice that is an environment variable', async () => {
      const variables = { operation: `\${SF_OPERATION}`, mode: `\${SF_MODE}` };
      const changed = flows.map((node) => (node.id === 'sf-bulk-create' ? { ...node, ...variables } : node));
      await world.nodeRed.deploy(changed);
      await editor.load();
      await editor.edit('sf-bulk-create');
      await editor.ok();
      const { operation, mode } = await editor.node('sf-bulk-create');
      assert.deepEqual({ operation, mode }, variables);
    });
  });
}
