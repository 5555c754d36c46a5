import { isFinal, type JobState } from '../../src/job.ts';
import type { Receipt } from '../../src/receipt.ts';
import type { World } from './kill-world.ts';

/** What a run came to; `violations` is empty when every promise was kept. */
export interface Verdict {
  rows: number;
  runs: number;
  jobs: number;
  done: number;
  deadLetters: number;
  /** Dead letters of REST inserts whose answer nobody has, and how many of those are in the org after all. */
  inDoubt: number;
  inDoubtStored: number;
  /** Records that a REST write under way, which nothing can fence, brought into the org a second time. */
  storedTwiceByRest: number;
  violations: string[];
}

interface Row {
  key: string;
  status: string;
  sf_id: string | null;
}

interface Letter {
  key: string;
  code: string | null;
}

export interface Circumstances {
  keys: readonly string[];
  /** A process was paused in the middle and went on later: its REST write under way cannot be fenced (design §7.10). */
  paused: boolean;
}

/** Only such a record ever goes over REST: the others pass, or fail for good, in Bulk. */
const healsOnRetry = (key: string) => key.includes('-LOCK-');
const failsForGood = (key: string) => key.includes('-VALIDATION-');

/** Compares source table, org, dead letters and ledger, record by record. */
export async function verdict(world: World, { keys, paused }: Circumstances): Promise<Verdict> {
  const rows = await world.query<Row>('SELECT key, status, sf_id FROM source');
  const letters = await world.query<Letter>(
    "SELECT record_data ->> 'Key__c' AS key, error_code AS code FROM sf_sync_dead_letter",
  );
  const stored = idsByKey(world);
  const expected = new Set(keys);
  const codes = new Map(letters.map(({ key, code }) => [key, code]));
  const wrong = new Violations();

  wrong.add(
    'records are in the org more than once',
    repeatedKeys(world).filter((key) => !(paused && healsOnRetry(key))),
  );
  wrong.add(
    'rows are neither DONE nor FAILED',
    keysOf(rows, ({ status }) => status !== 'DONE' && status !== 'FAILED'),
  );
  wrong.add(
    'rows are DONE with an Id that the org does not have for them',
    keysOf(
      rows,
      ({ key, status, sf_id }) => status === 'DONE' && !(stored.get(key) ?? []).includes(sf_id ?? ''),
    ),
  );
  wrong.add(
    'rows are FAILED without a dead letter',
    keysOf(rows, ({ key, status }) => status === 'FAILED' && !codes.has(key)),
  );
  wrong.add(
    'rows are DONE and have a dead letter',
    keysOf(rows, ({ key, status }) => status === 'DONE' && codes.has(key)),
  );
  wrong.add(
    'rows are FAILED and in the org, not IN_DOUBT',
    keysOf(
      rows,
      ({ key, status }) => status === 'FAILED' && stored.has(key) && codes.get(key) !== 'IN_DOUBT',
    ),
  );
  wrong.add(
    'records that can pass have a dead letter',
    letters.filter(({ key, code }) => !failsForGood(key) && code !== 'IN_DOUBT').map(({ key }) => key),
  );
  wrong.add('records have more than one dead letter', repeated(letters.map(({ key }) => key)));
  wrong.add(
    'records of the org are of no row',
    [...stored.keys()].filter((key) => !expected.has(key)),
  );
  if (rows.length !== keys.length) wrong.say(`${rows.length} source rows of ${keys.length}`);

  const done = rows.filter(({ status }) => status === 'DONE').length;
  const ledger = await checkLedger(world, wrong, { rows: keys.length, done, letters: letters.length });
  const inDoubt = letters.filter(({ code }) => code === 'IN_DOUBT');
  return {
    rows: keys.length,
    ...ledger,
    done,
    deadLetters: letters.length,
    inDoubt: inDoubt.length,
    inDoubtStored: inDoubt.filter(({ key }) => stored.has(key)).length,
    storedTwiceByRest: paused ? repeatedKeys(world).filter(healsOnRetry).length : 0,
    violations: wrong.all,
  };
}

/** The receipts of all runs together must tell what is in source table and dead letters. */
async function checkLedger(
  world: World,
  wrong: Violations,
  is: { rows: number; done: number; letters: number },
): Promise<{ runs: number; jobs: number }> {
  const runs = await world.query<{ run_id: string; state: string; receipt: Receipt | null }>(
    'SELECT run_id, state, receipt FROM sf_sync_run',
  );
  const jobs = await world.query<{ job_id: string; run_id: string; state: string; receipt: Receipt | null }>(
    'SELECT job_id, run_id, state, receipt FROM sf_sync_job',
  );
  wrong.add(
    'runs have not ended',
    runs.filter(({ state }) => state !== 'ended').map(({ run_id }) => run_id),
  );
  const final = new Set(['settled', 'discarded']);
  wrong.add(
    'jobs are neither settled nor discarded',
    jobs.filter(({ state }) => !final.has(state)).map(({ job_id, state }) => `${job_id} ${state}`),
  );
  const receipts = runs.flatMap(({ receipt }) => receipt ?? []);
  const sum = (name: keyof Receipt, of = receipts) => of.reduce((total, one) => total + Number(one[name]), 0);
  const loaded = sum('succeeded') + sum('retried');
  const expected: [what: string, is: number, should: number][] = [
    ['receipts of runs', receipts.length, runs.length],
    ['records unaccounted for', sum('unaccounted'), 0],
    ['records uploaded', sum('uploaded'), sum('succeeded') + sum('failed') + sum('unprocessed')],
    ['records received', sum('received'), sum('uploaded') + sum('rejected')],
    ['rows, without what was not processed', sum('uploaded') - sum('unprocessed'), is.rows],
    ['failures', sum('failed'), sum('retried') + sum('deadLettered')],
    ['rows DONE', is.done, loaded],
    ['dead letters', is.letters, sum('deadLettered')],
    ['successes written back', sum('writtenBack'), sum('succeeded')],
    [
      'records in jobs',
      sum(
        'uploaded',
        jobs.flatMap(({ receipt }) => receipt ?? []),
      ),
      sum('uploaded'),
    ],
  ];
  for (const [what, count, should] of expected) {
    if (count !== should) wrong.say(`${what}: ${count} instead of ${should}`);
  }
  const unfinished = Object.entries(world.org.audit.jobsByState()).filter(
    ([state]) => state !== 'Open' && !isFinal(state as JobState),
  );
  wrong.add(
    'jobs of the org have not ended',
    unfinished.map(([state, count]) => `${count} ${state}`),
  );
  return { runs: runs.length, jobs: jobs.filter(({ state }) => state === 'settled').length };
}

class Violations {
  readonly all: string[] = [];

  say(text: string): void {
    this.all.push(text);
  }

  add(what: string, names: readonly string[]): void {
    if (names.length > 0) this.say(`${names.length} ${what}: ${names.slice(0, 3).join(', ')}`);
  }
}

function idsByKey(world: World): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const record of world.org.records('Load_Test__c')) {
    const key = String(record.Key__c);
    const known = ids.get(key);
    if (known) known.push(String(record.Id));
    else ids.set(key, [String(record.Id)]);
  }
  return ids;
}

function repeatedKeys(world: World): string[] {
  return Object.keys(world.org.audit.insertsPerKey('Load_Test__c', 'Key__c').repeated);
}

function keysOf(rows: readonly Row[], fits: (row: Row) => boolean): string[] {
  return rows.filter(fits).map(({ key }) => key);
}

function repeated(keys: readonly string[]): string[] {
  const seen = new Set<string>();
  return keys.filter((key) => seen.has(key) || !seen.add(key));
}
