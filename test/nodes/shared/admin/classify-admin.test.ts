import assert from 'node:assert/strict';
import { registerClassifyAdmin } from '../../../../nodes/shared/admin/classify-admin.ts';
import {
  forgetColumns,
  noteColumns,
  registerColumnsAdmin,
} from '../../../../nodes/shared/admin/seen-columns.ts';
import { AdminServer } from './admin-server.ts';

const ERROR = 'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --';

describe('admin endpoints of sf-failure-classify', () => {
  let admin: AdminServer;
  beforeEach(async () => {
    admin = await AdminServer.start(registerClassifyAdmin);
  });
  afterEach(() => admin.stop());

  it('says what an error means and which rule decided', async () => {
    const { body } = await admin.post('classify/try', { text: ERROR, ruleSet: 'complete', rules: [] });
    assert.equal(body.errorCode, 'REQUIRED_FIELD_MISSING');
    assert.deepEqual(body.errorFields, ['LastName']);
    assert.equal(body.errorCategory, 'VALIDATION');
    assert.equal(body.retryable, false);
    assert.equal(body.rule, 'code REQUIRED_FIELD_MISSING');
  });

  it('asks the rules of the form first', async () => {
    const rules = [{ match: 'contains', value: 'LastName', category: 'SETUP', retryable: true }];
    const { body } = await admin.post('classify/try', { text: ERROR, ruleSet: 'mule', rules });
    assert.deepEqual([body.errorCategory, body.retryable], ['SETUP', true]);
  });

  it('refuses a rule that cannot be used, with the reason', async () => {
    const rules = [{ match: 'regex', value: '(a)\\1', category: 'OTHER', retryable: true }];
    const { status, body } = await admin.post('classify/try', { text: ERROR, ruleSet: 'complete', rules });
    assert.deepEqual([status, body.code], [400, 'CONFIG_INVALID']);
    assert.match(body.message, /backreferences/);
  });

  it('compiles rules once for all texts that are tried, and anew when they change', async () => {
    const worst = { match: 'regex', value: '(?i)(?:\\w?){240}Z9', category: 'OTHER', retryable: false };
    const rules = Array.from({ length: 200 }, () => worst);
    const asked = async (more: object[]) => {
      const begun = performance.now();
      const { body } = await admin.post('classify/try', {
        text: ERROR,
        ruleSet: 'complete',
        rules: [...more, ...rules],
      });
      return { rule: body.rule, ms: performance.now() - begun };
    };
    const first = await asked([]);
    const again = [await asked([]), await asked([]), await asked([])];
    assert.ok(Math.min(...again.map(({ ms }) => ms)) < first.ms / 3, JSON.stringify([first, again]));
    const changed = await asked([
      { match: 'contains', value: 'LastName', category: 'SETUP', retryable: true },
    ]);
    assert.equal(changed.rule, 'own rule 1');
  });

  it('bounds how often rules are tried', async () => {
    const statuses: number[] = [];
    for (let call = 0; call < 61; call += 1)
      statuses.push((await admin.post('classify/try', { text: ERROR, ruleSet: 'mule', rules: [] })).status);
    assert.deepEqual(statuses, [...Array(60).fill(200), 429]);
  });

  it('lists the built-in rules in order', async () => {
    const { body } = await admin.get('classify/rules?ruleSet=mule');
    assert.match(body[0].name, /DUPLICATE/);
    assert.ok((await admin.get('classify/rules?ruleSet=complete')).body.length > 600);
    assert.equal((await admin.get('classify/rules?ruleSet=other')).status, 400);
  });
});

describe('admin endpoint of seen columns', () => {
  let admin: AdminServer;
  beforeEach(async () => {
    admin = await AdminServer.start(registerColumnsAdmin);
    admin.deploy('n1', 'sf-bulk-create', {});
  });
  afterEach(async () => {
    forgetColumns('n1');
    await admin.stop();
  });

  it('gives the names of the last batch, and nothing of its content', async () => {
    noteColumns('n1', [
      { name: 'Ada', email: 'a@b.c' },
      { name: 'Bob', phone: null },
    ]);
    const { body } = await admin.get('node/n1/columns');
    assert.deepEqual(body, ['name', 'email', 'phone']);
  });

  it('keeps what it knows when an empty batch or no records come', async () => {
    noteColumns('n1', [{ name: 'Ada' }]);
    noteColumns('n1', []);
    noteColumns('n1', ['text', null, [1]]);
    assert.deepEqual((await admin.get('node/n1/columns')).body, ['name']);
  });

  it('answers for nodes that run', async () => {
    assert.deepEqual((await admin.get('node/n1/columns')).body, []);
    assert.equal((await admin.get('node/other/columns')).status, 404);
  });
});
