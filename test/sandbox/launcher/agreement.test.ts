import assert from 'node:assert/strict';
import pg from 'pg';
import { disagreements } from '../../../sandbox/launcher/agreement.ts';
import type { RunReceipt } from '../../../sandbox/launcher/load.ts';
import { OrgProcess } from '../../../sandbox/launcher/org-process.ts';
import { testDatabase } from '../../support/postgres.ts';

const ROWS = 6;
const RECEIPT: RunReceipt = {
  received: 6,
  rejected: 0,
  uploaded: 6,
  succeeded: 2,
  failed: 3,
  unprocessed: 1,
  unaccounted: 0,
  retried: 1,
  deadLettered: 2,
  byErrorCode: {},
  apiCalls: 9,
  complete: false,
};

describe('what npm start compares after a load', () => {
  let client: pg.Client;
  let org: OrgProcess;

  before(async () => {
    client = new pg.Client((await testDatabase()).url);
    await client.connect();
    org = await OrgProcess.start({ sink: false });
  });
  after(async () => {
    await client.end();
    await org.stop();
  });

  /** Three rows in the org, two dead letters, one that was not processed: all is well. */
  beforeEach(async () => {
    await fetch(`${org.url}/sandbox/reset`, { method: 'POST' });
    await client.query('DROP TABLE IF EXISTS pending_sf_sync, sf_sync_dead_letter');
    await client.query(
      'CREATE TABLE pending_sf_sync (external_id text, sync_status text, sf_id text, sync_error text)',
    );
    await client.query(
      "CREATE TABLE sf_sync_dead_letter (record_data jsonb, status text NOT NULL DEFAULT 'dead')",
    );
    for (const key of ['C-1', 'C-2', 'C"3\\,']) await row(key, 'DONE', await inOrg(key), null);
    for (const key of ['C-4', 'C-5']) {
      await row(key, 'FAILED', null, 'REQUIRED_FIELD_MISSING:…');
      await letter(key);
    }
    await row('C-6', 'READY', null, null);
  });

  async function row(key: string, status: string, sfId: string | null, error: string | null): Promise<void> {
    await client.query('INSERT INTO pending_sf_sync VALUES ($1, $2, $3, $4)', [key, status, sfId, error]);
  }

  async function inOrg(key: string): Promise<string> {
    const body = JSON.stringify({
      object: 'Contact',
      records: [{ LastName: 'Ada\n"L"', External_Id__c: key }],
    });
    const answer = await fetch(`${org.url}/sandbox/records`, { method: 'POST', body });
    const [id] = (await answer.json()) as string[];
    return id ?? assert.fail('no id');
  }

  async function letter(key: string): Promise<void> {
    await client.query('INSERT INTO sf_sync_dead_letter (record_data) VALUES ($1)', [
      JSON.stringify({ External_Id__c: key }),
    ]);
  }

  const found = (receipt: Partial<RunReceipt> = {}) =>
    disagreements({ client, org, rows: ROWS, receipt: { ...RECEIPT, ...receipt }, sink: false });

  it('finds nothing where all agree', async () => {
    assert.deepEqual(await found(), []);
  });

  const sql = (text: string) => () => client.query(text);
  const cases: { when: string; change: () => Promise<unknown>; says: RegExp[] }[] = [
    {
      when: 'a loaded row was not marked',
      change: sql("UPDATE pending_sf_sync SET sync_status = 'READY' WHERE external_id = 'C-1'"),
      says: [/1 records of the org have no DONE row, such as C-1/, /2 READY rows, but 1 the receipt/],
    },
    {
      when: 'a row is marked that the org does not have',
      change: sql("UPDATE pending_sf_sync SET sync_status = 'DONE', sf_id = '003' WHERE external_id = 'C-6'"),
      says: [/1 DONE rows are not in the org, such as C-6/],
    },
    {
      when: 'a record was loaded twice',
      change: () => inOrg('C-1'),
      says: [/1 external ids are in the org more than once, such as C-1/, /4 records in the org, but 3/],
    },
    {
      when: 'a row has another record’s Id',
      change: sql("UPDATE pending_sf_sync SET sf_id = '003000000000000AAA' WHERE external_id = 'C-2'"),
      says: [/1 rows have another Salesforce Id than the org gave, such as C-2/],
    },
    {
      when: 'a dead letter is missing',
      change: sql("DELETE FROM sf_sync_dead_letter WHERE record_data ->> 'External_Id__c' = 'C-4'"),
      says: [/1 FAILED rows have no dead letter, such as C-4/],
    },
    {
      when: 'there is no table of dead letters',
      change: sql('DROP TABLE sf_sync_dead_letter'),
      says: [/2 FAILED rows have no dead letter, such as C-4, C-5/],
    },
    {
      when: 'a dead letter was stored twice',
      change: () => letter('C-4'),
      says: [/1 records have more than one dead letter, such as C-4/, /3 dead letters, but 2/],
    },
    {
      when: 'a dead letter belongs to a loaded row',
      change: () => letter('C-1'),
      says: [/1 dead letters have no FAILED row, such as C-1/, /1 records are in the org and a dead letter/],
    },
    {
      when: 'a failed row does not say why',
      change: sql("UPDATE pending_sf_sync SET sync_error = NULL WHERE external_id = 'C-5'"),
      says: [/1 FAILED rows do not say why, such as C-5/],
    },
    {
      when: 'a done row has no Id',
      change: sql("UPDATE pending_sf_sync SET sf_id = '' WHERE external_id = 'C-1'"),
      says: [/1 DONE rows have no Salesforce Id, such as C-1/],
    },
    {
      when: 'a row has a status of its own',
      change: sql("UPDATE pending_sf_sync SET sync_status = 'done' WHERE external_id = 'C-1'"),
      says: [/1 source rows are neither READY, DONE nor FAILED, such as C-1/],
    },
    {
      when: 'a row is gone',
      change: sql("DELETE FROM pending_sf_sync WHERE external_id = 'C-6'"),
      says: [/5 source rows, but 6 were seeded/],
    },
  ];

  for (const { when, change, says } of cases) {
    it(`says so when ${when}`, async () => {
      await change();
      const sentences = await found();
      for (const pattern of says) {
        assert.ok(
          sentences.some((sentence) => pattern.test(sentence)),
          `${pattern} is not in:\n${sentences.join('\n')}`,
        );
      }
    });
  }

  it('says so when the receipt does not add up', async () => {
    assert.deepEqual(await found({ unaccounted: 2, received: 5 }), [
      '5 records received, but 6 rows were READY.',
      '2 records unaccounted for, but 0 is what may be.',
    ]);
  });
});
