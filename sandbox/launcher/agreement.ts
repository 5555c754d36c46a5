import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { RunReceipt } from './load.ts';
import type { OrgAudit, OrgProcess } from './org-process.ts';

export interface Witnesses {
  /** Of the sandbox's database, for as long as it takes. */
  client: pg.Client;
  org: OrgProcess;
  /** How many rows the table was seeded with. */
  rows: number;
  receipt: RunReceipt;
  /** The org stored nothing, so only counts can be compared. */
  sink: boolean;
}

/**
 * Compares source rows, org and dead letters with each other and with the receipt, record by record: after a load every
 * source row is DONE and in the org once, or FAILED and a dead letter once, or unprocessed and still READY. Returns what
 * disagrees, a sentence each; nothing when all is well.
 */
export async function disagreements(witnesses: Witnesses): Promise<string[]> {
  const { client, org, sink } = witnesses;
  await prepareDeadLetters(client);
  if (!sink) await copyOrg(client, org);
  const found: string[] = [];
  for (const check of sink ? SOURCE_CHECKS : [...SOURCE_CHECKS, ...ORG_CHECKS]) {
    const sentence = await offenders(client, check);
    if (sentence !== undefined) found.push(sentence);
  }
  const counts = await counted(client, sink);
  return [...found, ...wrongCounts(counts, await org.audit(), witnesses)];
}

interface Check {
  /** What is wrong with the records that the query finds. */
  is: string;
  /** Selects the external ids, as `key`, of what should not be. */
  sql: string;
}

const SOURCE_CHECKS: Check[] = [
  {
    is: 'source rows are neither READY, DONE nor FAILED',
    sql: "SELECT external_id AS key FROM pending_sf_sync WHERE sync_status NOT IN ('READY', 'DONE', 'FAILED')",
  },
  {
    is: 'DONE rows have no Salesforce Id',
    sql: "SELECT external_id AS key FROM pending_sf_sync WHERE sync_status = 'DONE' AND coalesce(sf_id, '') = ''",
  },
  {
    is: 'FAILED rows do not say why',
    sql: "SELECT external_id AS key FROM pending_sf_sync WHERE sync_status = 'FAILED' AND coalesce(sync_error, '') = ''",
  },
  {
    is: 'FAILED rows have no dead letter',
    sql: `SELECT external_id AS key FROM pending_sf_sync WHERE sync_status = 'FAILED'
          EXCEPT SELECT key FROM letters`,
  },
  {
    is: 'dead letters have no FAILED row',
    sql: `SELECT key FROM letters
          EXCEPT SELECT external_id FROM pending_sf_sync WHERE sync_status = 'FAILED'`,
  },
  {
    is: 'records have more than one dead letter',
    sql: 'SELECT key FROM letters GROUP BY key HAVING count(*) > 1',
  },
];

const ORG_CHECKS: Check[] = [
  {
    is: 'external ids are in the org more than once',
    sql: 'SELECT key FROM contacts GROUP BY key HAVING count(*) > 1',
  },
  {
    is: 'DONE rows are not in the org',
    sql: `SELECT external_id AS key FROM pending_sf_sync WHERE sync_status = 'DONE'
          EXCEPT SELECT key FROM contacts`,
  },
  {
    is: 'records of the org have no DONE row',
    sql: `SELECT key FROM contacts
          EXCEPT SELECT external_id FROM pending_sf_sync WHERE sync_status = 'DONE'`,
  },
  {
    is: 'rows have another Salesforce Id than the org gave',
    sql: `SELECT key FROM contacts JOIN pending_sf_sync ON external_id = key
          WHERE sync_status = 'DONE' AND contacts.sf_id IS DISTINCT FROM pending_sf_sync.sf_id`,
  },
  {
    is: 'records are in the org and a dead letter as well',
    sql: 'SELECT key FROM contacts INTERSECT SELECT key FROM letters',
  },
];

/** No failure at all may mean no table of dead letters. */
async function prepareDeadLetters(client: pg.Client): Promise<void> {
  const { rows } = await client.query("SELECT to_regclass('sf_sync_dead_letter') IS NOT NULL AS exists");
  const letters = rows[0].exists
    ? "SELECT record_data ->> 'External_Id__c' AS key FROM sf_sync_dead_letter WHERE status = 'dead'"
    : 'SELECT NULL::text AS key WHERE false';
  await client.query('DROP TABLE IF EXISTS letters');
  await client.query(`CREATE TEMP TABLE letters AS ${letters}`);
}

/** The org's contacts as a table, so that PostgreSQL compares the sets, however many. */
async function copyOrg(client: pg.Client, org: OrgProcess): Promise<void> {
  await client.query('DROP TABLE IF EXISTS documents, contacts');
  await client.query('CREATE TEMP TABLE documents (document jsonb)');
  // A line is one value: no line of JSON has a control character to quote or to separate with.
  const copy = client.query(
    copyFrom("COPY documents FROM STDIN (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02')"),
  );
  await pipeline(Readable.from(await org.records('Contact')), copy);
  await client.query(`CREATE TEMP TABLE contacts AS
    SELECT document ->> 'External_Id__c' AS key, document ->> 'Id' AS sf_id FROM documents`);
}

async function offenders(client: pg.Client, { is, sql }: Check): Promise<string | undefined> {
  const { rows } = await client.query<{ count: number; some: string[] }>(
    `SELECT count(*)::int AS count, (array_agg(key ORDER BY key))[1:3] AS some FROM (${sql}) AS found`,
  );
  const [{ count, some } = { count: 0, some: [] }] = rows;
  return count === 0 ? undefined : `${count} ${is}, such as ${some.join(', ')}.`;
}

interface Counts {
  all: number;
  ready: number;
  done: number;
  failed: number;
  letters: number;
  contacts: number;
}

async function counted(client: pg.Client, sink: boolean): Promise<Counts> {
  const { rows } = await client.query<Counts>(`
    SELECT count(*)::int AS "all",
           count(*) FILTER (WHERE sync_status = 'READY')::int AS ready,
           count(*) FILTER (WHERE sync_status = 'DONE')::int AS done,
           count(*) FILTER (WHERE sync_status = 'FAILED')::int AS failed,
           (SELECT count(*)::int FROM letters) AS letters,
           ${sink ? '0' : '(SELECT count(*)::int FROM contacts)'} AS contacts
    FROM pending_sf_sync`);
  return rows[0] as Counts;
}

/** Each line: what is counted, what it is, what it should be and by whose word. */
function wrongCounts(
  counts: Counts,
  audit: OrgAudit,
  { rows, receipt, sink }: Pick<Witnesses, 'rows' | 'receipt' | 'sink'>,
): string[] {
  const loaded = receipt.succeeded + receipt.retried;
  const expected: [what: string, is: number, should: number, word: string][] = [
    ['source rows', counts.all, rows, 'were seeded'],
    ['records received', receipt.received, rows, 'rows were READY'],
    ['records unaccounted for', receipt.unaccounted, 0, 'is what may be'],
    ['DONE rows', counts.done, loaded, 'the receipt says were loaded, retried ones included'],
    ['FAILED rows', counts.failed, receipt.deadLettered, 'the receipt says were dead-lettered'],
    ['READY rows', counts.ready, receipt.unprocessed, 'the receipt says were not processed'],
    ['dead letters', counts.letters, receipt.deadLettered, 'the receipt says were stored'],
    sink
      ? [
          'records seen by the org',
          audit.recordsProcessed,
          receipt.uploaded,
          'the receipt says were uploaded',
        ]
      : ['records in the org', counts.contacts, loaded, 'the receipt says were loaded'],
    ['jobs left open in the org', audit.openJobs, 0, 'is what may be'],
  ];
  return expected.flatMap(([what, is, should, word]) =>
    is === should ? [] : [`${is} ${what}, but ${should} ${word}.`],
  );
}
