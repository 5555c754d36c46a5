import type { Receipt } from '../../src/receipt.ts';
import type { Night } from './night.ts';
import type { NightWorld } from './night-world.ts';

interface Row {
  key: string;
  status: string;
  sf_id: string | null;
}

interface Letter {
  key: string;
  code: string | null;
}

/** What of the promises was not kept; empty when all were. */
export class Violations {
  readonly list: string[] = [];

  /** `keys`: those for which it is so; none is as it should be. */
  add(what: string, keys: readonly string[]): void {
    if (keys.length > 0) this.list.push(`${keys.length} ${what}: ${keys.slice(0, 5).join(', ')}`);
  }

  equal(what: string, found: unknown, wanted: unknown): void {
    if (found !== wanted) this.list.push(`${what}: ${String(found)} instead of ${String(wanted)}`);
  }
}

export interface Standing {
  ready: number;
  done: number;
  failed: number;
  /** Dead letters of retries of which nobody knows what became, and how many of these records are in the org. */
  inDoubt: number;
  inDoubtStored: number;
  violations: string[];
}

/**
 * Compares source table, org, dead letters and receipts, record by record. At any standstill each row is READY and nowhere
 * else, or DONE and in the org once, or FAILED and one dead letter; a dead letter IN_DOUBT says that its record may be in
 * the org. `parked`: jobs that are not settled yet may have brought READY rows into the org.
 */
export async function standing(world: NightWorld, night: Night): Promise<Standing> {
  const rows = await world.query<Row>('SELECT key, status, sf_id FROM source');
  const letters = await lettersOf(world);
  const stored = idsByKey(world);
  const codes = new Map(letters.map(({ key, code }) => [key, code]));
  const parked = await night.unsettledJobs();
  const wrong = new Violations();
  const of = (status: string) => rows.filter((row) => row.status === status);
  const keys = (some: readonly { key: string }[]) => some.map(({ key }) => key);

  const repeated = Object.keys(world.org.audit.insertsPerKey('Load_Test__c', 'Key__c').repeated);
  wrong.add('records are in the org more than once', repeated);
  wrong.add(
    'DONE rows are not in the org under the id they have',
    keys(of('DONE').filter(({ key, sf_id }) => stored.get(key) !== sf_id)),
  );
  wrong.add('DONE rows are dead letters as well', keys(of('DONE').filter(({ key }) => codes.has(key))));
  wrong.add('FAILED rows are no dead letter', keys(of('FAILED').filter(({ key }) => !codes.has(key))));
  wrong.add(
    'FAILED rows are in the org',
    keys(of('FAILED').filter(({ key }) => stored.has(key) && codes.get(key) !== 'IN_DOUBT')),
  );
  wrong.add(
    'dead letters are not of a FAILED row',
    keys(letters.filter(({ key }) => !of('FAILED').some((row) => row.key === key))),
  );
  wrong.equal('dead letters of as many records', codes.size, letters.length);
  if (parked.length === 0) {
    wrong.add('READY rows are in the org', keys(of('READY').filter(({ key }) => stored.has(key))));
    wrong.add('dead letters of READY rows', keys(of('READY').filter(({ key }) => codes.has(key))));
    wrong.equal('retries that may be sent again, by the ledger', await openRetries(world), 0);
  }
  const inDoubt = letters.filter(({ code }) => code === 'IN_DOUBT');
  return {
    ready: of('READY').length,
    done: of('DONE').length,
    failed: of('FAILED').length,
    inDoubt: inDoubt.length,
    inDoubtStored: inDoubt.filter(({ key }) => stored.has(key)).length,
    violations: wrong.list,
  };
}

/** Of receipts of runs that have ended: each adds up, and together they account for all that was done. */
export async function receiptsAddUp(
  world: NightWorld,
  receipts: readonly Receipt[],
  { done, failed }: Pick<Standing, 'done' | 'failed'>,
  unaccounted = 0,
): Promise<string[]> {
  const wrong = new Violations();
  const sum = (field: 'succeeded' | 'retried' | 'deadLettered' | 'unaccounted') =>
    receipts.reduce((total, receipt) => total + receipt[field], 0);
  for (const receipt of receipts) {
    const { received, rejected, uploaded, succeeded } = receipt;
    const ends = succeeded + receipt.failed + receipt.unprocessed + receipt.unaccounted;
    wrong.equal('received of a receipt', received, rejected + uploaded);
    wrong.equal('uploaded of a receipt', uploaded, ends);
    wrong.equal('failed of a receipt', receipt.failed, receipt.retried + receipt.deadLettered);
    wrong.equal('written back of a receipt', receipt.writtenBack, succeeded);
    const byCode = Object.values(receipt.byErrorCode).reduce((total, count) => total + count, 0);
    wrong.equal('error codes of a receipt', byCode, receipt.failed);
  }
  wrong.equal('unaccounted records by the receipts', sum('unaccounted'), unaccounted);
  wrong.equal('records in the org by the receipts', sum('succeeded') + sum('retried'), done);
  wrong.equal('dead letters by the receipts', sum('deadLettered'), failed);
  const stored = await world.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM sf_sync_run WHERE state = 'ended'",
  );
  wrong.equal('ended runs in the ledger', stored[0]?.count, receipts.length);
  return wrong.list;
}

/** What is stored or dead-lettered and not known as such is sent once more when its job is carried on by somebody else. */
async function openRetries(world: NightWorld): Promise<number> {
  const rows = await world.query("SELECT FROM sf_sync_retry WHERE state IN ('calling', 'failed')");
  return rows.length;
}

async function lettersOf(world: NightWorld): Promise<Letter[]> {
  const [table] = await world.query<{ found: string | null }>(
    "SELECT to_regclass('sf_sync_dead_letter')::text AS found",
  );
  if (!table?.found) return [];
  return world.query<Letter>(
    "SELECT record_data ->> 'Key__c' AS key, error_code AS code FROM sf_sync_dead_letter",
  );
}

function idsByKey(world: NightWorld): Map<string, string> {
  const ids = new Map<string, string>();
  for (const record of world.org.records('Load_Test__c')) ids.set(String(record.Key__c), String(record.Id));
  return ids;
}
