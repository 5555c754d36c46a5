import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { expectedOutcome, seedPendingSync } from '../../sandbox/postgres/seed.ts';
import { type FlowNode, type NodeRed, startNodeRed } from '../support/node-red.ts';
import { REPOSITORY } from '../support/node-red-package.ts';
import { testDatabase } from '../support/postgres.ts';

const ROWS = 600;
const WAIT_MS = 40_000;

type Receipt = Record<string, number> & { complete: boolean };

/** The recipes of Import → Examples, on a real database and a local org, with pauses shorter than a person would set. */
describe('the recipes among the examples', () => {
  let org: Org;
  let client: pg.Client;
  let nodeRed: NodeRed;

  before(async () => {
    org = await startOrg();
    const { host, port, user, password, database, url } = await testDatabase();
    client = new pg.Client(url);
    await client.connect();
    nodeRed = await startNodeRed({
      packages: ['linked'],
      env: {
        SF_LOGIN_URL: org.url,
        SF_CLIENT_ID: org.credentials.clientId,
        SF_CLIENT_SECRET: org.credentials.clientSecret,
        PGHOST: host,
        PGPORT: String(port),
        PGDATABASE: database,
        PGUSER: user,
        PGPASSWORD: password,
      },
    });
  });
  after(async () => {
    await nodeRed.stop();
    await client.end();
    await org.close();
  });
  beforeEach(async () => {
    await nodeRed.deploy([]);
    await org.reset();
    await client.query('DROP TABLE IF EXISTS sf_sync_dead_letter CASCADE');
    await seedPendingSync(client, { rows: ROWS });
  });

  function example(name: string): FlowNode[] {
    const text = readFileSync(join(REPOSITORY, 'examples', `${name}.json`), 'utf8');
    return (JSON.parse(text) as FlowNode[]).map((node) => {
      if (node.type === 'sf-bulk-poll') return { ...node, interval: 1 };
      return node.type === 'delay' ? { ...node, timeout: '0.1' } : node;
    });
  }

  async function deployExample(name: string): Promise<FlowNode[]> {
    const flow = example(name);
    await nodeRed.deploy(flow);
    return flow;
  }

  function named(flow: FlowNode[], name: string): string {
    return flow.find((node) => node.name === name)?.id ?? assert.fail(`no node “${name}”`);
  }

  /** Presses a button and waits for what a debug node shows next; a caught error ends the wait. */
  async function press<T>(flow: FlowNode[], button: string, until: string): Promise<T> {
    const seen = nodeRed.debug.length;
    const [end, errors] = [named(flow, until), named(flow, 'errors')];
    await nodeRed.inject(named(flow, button));
    await nodeRed.waitFor(
      () => nodeRed.debug.slice(seen).some(({ nodeId }) => nodeId === end || nodeId === errors),
      `“${until}” shows something`,
      WAIT_MS,
    );
    const shown = nodeRed.debug.slice(seen);
    const error = shown.find(({ nodeId }) => nodeId === errors);
    assert.equal(error, undefined, JSON.stringify(error?.value));
    return shown.find(({ nodeId }) => nodeId === end)?.value as T;
  }

  async function counts(sql: string): Promise<Record<string, number>> {
    const { rows } = await client.query<{ what: string; count: number }>(sql);
    return Object.fromEntries(rows.map(({ what, count }) => [what, count]));
  }

  const sourceRows = () =>
    counts('SELECT sync_status AS what, count(*)::int AS count FROM pending_sf_sync GROUP BY 1');
  const letters = () =>
    counts('SELECT status AS what, count(*)::int AS count FROM sf_sync_dead_letter GROUP BY 1');

  describe('“reload unprocessed records”', () => {
    interface End {
      rounds: number;
      stillUnprocessed: number;
      receiptOfTheLastRound: Receipt;
    }

    it('sends what a failed job left to a new job, and every row comes to an end', async () => {
      org.jobFaults.add({ kind: 'fail-half' });
      const end = await press<End>(await deployExample('reload unprocessed records'), 'load now', 'finished');
      assert.equal(end.rounds, 2);
      assert.equal(end.stillUnprocessed, 0);
      // Half of 600 in whole chunks of 200: so many were processed before the first job failed.
      assert.equal(end.receiptOfTheLastRound.received, 400);
      const { loaded, healed, permanent } = expectedOutcome({ rows: ROWS });
      assert.deepEqual(await sourceRows(), { DONE: loaded + healed, FAILED: permanent });
      assert.deepEqual(await letters(), { dead: permanent });
      assert.equal(org.audit.rows('Contact'), loaded + healed);
      assert.equal(org.audit.insertsPerKey('Contact', 'External_Id__c').repeatedCount, 0);
    }).timeout(60_000);

    it('ends after three rounds when nothing is ever processed, and loses nothing', async () => {
      org.jobFaults.add({ kind: 'fail', times: 10, errorMessage: 'InvalidBatch : out of order' });
      const end = await press<End>(await deployExample('reload unprocessed records'), 'load now', 'finished');
      assert.equal(end.rounds, 3);
      assert.equal(end.stillUnprocessed, ROWS);
      assert.deepEqual(org.audit.jobsByState(), { Failed: 3 });
      assert.deepEqual(await sourceRows(), { READY: ROWS });
    }).timeout(60_000);
  });

  it('share a load with the nightly flow: side by side, whichever is triggered does all of it', async () => {
    const [nightly, again] = [example('flows'), example('reload unprocessed records')];
    const ids = new Set(nightly.map(({ id }) => id));
    await nodeRed.deploy([...nightly, ...again.filter(({ id }) => !ids.has(id))]);
    const { loaded, healed, permanent } = expectedOutcome({ rows: ROWS });
    await press(again, 'load now', 'finished');
    assert.deepEqual(await sourceRows(), { DONE: loaded + healed, FAILED: permanent });
    await client.query("UPDATE pending_sf_sync SET sync_status = 'READY'");
    await org.reset();
    const receipt = await press<Receipt>(nightly, 'load now', 'receipt of the run');
    assert.equal(receipt.retried, healed);
    assert.deepEqual(await sourceRows(), { DONE: loaded + healed, FAILED: permanent });
  }).timeout(90_000);

  describe('“replay dead letters”', () => {
    async function loadOnce(): Promise<void> {
      await press(await deployExample('flows'), 'load now', 'receipt of the run');
    }

    it('loads what was mended in SQL, marks its rows, and keeps what fails again as a new letter', async () => {
      await loadOnce();
      const { kinds, loaded, healed, permanent } = expectedOutcome({ rows: ROWS });
      assert.deepEqual(await letters(), { dead: permanent });
      // The statement in the description of the flow.
      await client.query(
        `UPDATE sf_sync_dead_letter SET record_data = jsonb_set(record_data, '{LastName}', '"Unknown"')
         WHERE status = 'dead' AND error_code = 'REQUIRED_FIELD_MISSING'`,
      );
      const mended = kinds['without name'];
      const receipt = await press<Receipt>(
        await deployExample('replay dead letters'),
        'all letters',
        'receipt of the run',
      );
      assert.equal(receipt.received, permanent);
      assert.equal(receipt.succeeded, mended);
      assert.equal(receipt.unaccounted, 0);
      assert.deepEqual(await sourceRows(), { DONE: loaded + healed + mended, FAILED: permanent - mended });
      assert.deepEqual(await letters(), { replayed: permanent, dead: permanent - mended });
      assert.equal(org.audit.rows('Contact'), loaded + healed + mended);
      const { rows } = await client.query(
        `SELECT count(*)::int AS count FROM sf_sync_dead_letter AS again JOIN sf_sync_dead_letter AS first
           ON again.replay_of = first.id WHERE again.status = 'dead' AND first.status = 'replayed'`,
      );
      assert.equal(rows[0].count, permanent - mended);
    }).timeout(90_000);

    it('takes only the letters that its button names, and clears the error of a row that passed', async () => {
      await loadOnce();
      const { kinds, permanent } = expectedOutcome({ rows: ROWS });
      await client.query(
        `UPDATE sf_sync_dead_letter SET record_data = jsonb_set(record_data, '{LastName}', '"Unknown"')`,
      );
      const flow = await deployExample('replay dead letters');
      const receipt = await press<Receipt>(flow, 'only those without a name', 'receipt of the run');
      const mended = kinds['without name'];
      assert.equal(receipt.received, mended);
      assert.deepEqual(await letters(), { replayed: mended, dead: permanent - mended });
      const { rows } = await client.query(
        "SELECT count(*)::int AS count FROM pending_sf_sync WHERE sync_status = 'DONE' AND coalesce(sync_error, '') <> ''",
      );
      assert.equal(rows[0].count, 0);
    }).timeout(90_000);

    it('says in its receipt that there was nothing to send', async () => {
      await loadOnce();
      await client.query("UPDATE sf_sync_dead_letter SET status = 'discarded'");
      const flow = await deployExample('replay dead letters');
      const receipt = await press<Receipt>(flow, 'all letters', 'receipt of the run');
      assert.equal(receipt.received, 0);
    }).timeout(90_000);
  });
});
