import assert from 'node:assert/strict';
import type { Receipt } from '../../src/receipt.ts';
import type { FlowNode, NodeRed } from '../support/node-red.ts';
import { Example, ExampleWorld } from './support/example-world.ts';

/** Issue 5, acceptance 4, through the example flows in real Node-REDs. */

const PATIENCE_MS = 30_000;

/** 1: how many. Each has a name as it should be, and an external id of its own. */
const LETTERS = `
  INSERT INTO sf_sync_dead_letter
    (record_data, error_message, job_id, key, object, operation, external_id_field, error_code, error_category, retryable, attempts)
  SELECT jsonb_build_object('LastName', 'Name ' || n, 'External_Id__c', 'C-' || n, 'Email', 'row' || n || '@example.com'),
         'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --', '750000000000001AAA', 'key-' || n,
         'Contact', 'insert', 'External_Id__c', 'REQUIRED_FIELD_MISSING', 'VALIDATION', false,
         '[{"at": "2026-01-01T02:00:00.000Z", "via": "bulk", "errorCode": "REQUIRED_FIELD_MISSING", "errorMessage": ""}]'
  FROM generate_series(1, $1::int) AS n`;

describe('the replay of dead letters', () => {
  let world: ExampleWorld;
  let nodeRed: NodeRed;
  /** A second one, where a test needs it. */
  let other: NodeRed | undefined;

  before(async function () {
    this.timeout(60_000);
    world = await ExampleWorld.open();
    nodeRed = await world.startNodeRed();
  });
  after(() => world.close());

  async function replayExample(): Promise<Example> {
    return Example.read('replay dead letters');
  }

  /** An empty world with this flow, and so many letters. */
  async function start(flows: FlowNode[], letters: number, on = nodeRed): Promise<void> {
    await on.deploy(flows);
    await on.waitFor(tableIsThere, 'the table of dead letters is made');
    await world.reset();
    await world.query(LETTERS, [letters]);
  }

  async function tableIsThere(): Promise<boolean> {
    const [row] = await world.query("SELECT to_regclass('sf_sync_dead_letter') IS NOT NULL AS there");
    return row?.there === true;
  }

  const ALL = { name: 'all letters' };

  const pressed = (example: Example) => example.the('inject', ALL.name).id;

  /** Presses a button and waits for a receipt, or for an error that a Catch node caught. */
  async function replay(
    example: Example,
    { button = pressed(example), on = nodeRed }: { button?: string; on?: NodeRed } = {},
  ): Promise<{ receipt: Receipt | undefined; error: { message: string } | undefined }> {
    const seen = on.debug.length;
    await on.inject(button);
    return outcome(example, on, seen);
  }

  async function outcome(example: Example, on: NodeRed, seen: number) {
    const of = (id: string) => on.debug.slice(seen).find(({ nodeId }) => nodeId === id)?.value;
    const receipt = () => of(example.behind('sf-bulk-create', 2)) as Receipt | undefined;
    const error = () => of(example.behind('catch', 0)) as { message: string } | undefined;
    await on.waitFor(() => (receipt() ?? error()) !== undefined, 'the replay has ended', PATIENCE_MS);
    return { receipt: receipt(), error: error() };
  }

  async function statuses(): Promise<Record<string, number>> {
    const rows = await world.query<{ status: string; n: number }>(
      'SELECT status, count(*)::int AS n FROM sf_sync_dead_letter GROUP BY status ORDER BY status',
    );
    return Object.fromEntries(rows.map(({ status, n }) => [status, n]));
  }

  /** Claims are ended a moment after the receipt. */
  async function untilStatuses(expected: Record<string, number>, on = nodeRed): Promise<void> {
    let last = {};
    try {
      await on.waitFor(
        async () => {
          last = await statuses();
          return JSON.stringify(last) === JSON.stringify(expected);
        },
        `letters are ${JSON.stringify(expected)}`,
        5000,
      );
    } catch {
      assert.deepEqual(last, expected);
    }
  }

  function inserted(): { inserts: number; repeated: number } {
    const { inserts, repeatedCount } = world.org.audit.insertsPerKey('Contact', 'External_Id__c');
    return { inserts, repeated: repeatedCount };
  }

  it('loads what was mended in SQL, and keeps the whole history', async function () {
    this.timeout(PATIENCE_MS * 2);
    const [load, example] = [await Example.read('flows'), await replayExample()];
    const shared = new Set(load.nodes.map(({ id }) => id));
    await start([...load.nodes, ...example.nodes.filter(({ id }) => !shared.has(id))], 0);
    await world.query(`
      INSERT INTO pending_sf_sync (id, name, email, external_id)
      SELECT n, CASE WHEN n <= 3 THEN NULL ELSE 'Name ' || n END, 'row' || n || '@example.com', 'C-' || n
      FROM generate_series(1, 10) AS n`);
    const loaded = await outcomeOf(load);
    assert.deepEqual([loaded?.succeeded, loaded?.deadLettered], [7, 3]);

    await world.query(`
      UPDATE sf_sync_dead_letter
      SET original_data = record_data, record_data = record_data || '{"LastName": "Mended"}', changed_by = 'anna', changed_at = now()
      WHERE record_data ->> 'External_Id__c' IN ('C-1', 'C-2')`);
    const { receipt, error } = await replay(example);
    assert.equal(error, undefined);
    assert.deepEqual([receipt?.succeeded, receipt?.failed, receipt?.deadLettered], [2, 1, 1]);
    await untilStatuses({ dead: 1, replayed: 3 });

    const letters = await world.query(`
      SELECT id::int, record_data ->> 'External_Id__c' AS key, record_data ->> 'LastName' AS name, original_data ? 'LastName' AS named_before,
             original_data ->> 'LastName' AS name_before, changed_by, status, replay_of::int, error_code, load_name, object, operation,
             external_id_field, (SELECT array_agg(a ->> 'via') FROM jsonb_array_elements(attempts) AS a) AS via
      FROM sf_sync_dead_letter ORDER BY key, id`);
    const mended = {
      name: 'Mended',
      named_before: true,
      name_before: '#N/A',
      changed_by: 'anna',
      status: 'replayed',
    };
    const origin = { object: 'Contact', operation: 'insert', external_id_field: 'External_Id__c' };
    const common = { error_code: 'REQUIRED_FIELD_MISSING', ...origin };
    const first = { ...common, load_name: 'contacts', replay_of: null, via: ['bulk', 'replay'] };
    const untouched = { name: '#N/A', named_before: null, name_before: null, changed_by: null };
    const unmended = letters.find(({ key, replay_of }) => key === 'C-3' && replay_of === null);
    assert.deepEqual(
      letters.map(({ id, ...rest }) => rest),
      [
        { key: 'C-1', ...first, ...mended },
        { key: 'C-2', ...first, ...mended },
        { key: 'C-3', ...first, ...untouched, status: 'replayed' },
        {
          key: 'C-3',
          ...common,
          ...untouched,
          load_name: 'contacts, replayed',
          status: 'dead',
          replay_of: unmended?.id,
          via: ['bulk'],
        },
      ],
    );
    assert.deepEqual(inserted(), { inserts: 9, repeated: 0 });
    assert.deepEqual(
      await world.query('SELECT sync_status, count(*)::int AS n FROM pending_sf_sync GROUP BY 1 ORDER BY 1'),
      [
        { sync_status: 'DONE', n: 9 },
        { sync_status: 'FAILED', n: 1 },
      ],
    );
  });

  async function outcomeOf(load: Example): Promise<Receipt | undefined> {
    const seen = nodeRed.debug.length;
    const { id } = load.all('inject').find(({ crontab }) => crontab === '') ?? { id: '' };
    await nodeRed.inject(id);
    return (await outcome(load, nodeRed, seen)).receipt;
  }

  /** A second replay beside the first one; with a create node of its own, or into the same. */
  function withSecondReplay(example: Example, itsOwnCreate: boolean): string {
    const [button, node, create] = [
      example.the('inject', ALL.name),
      example.the('dead-letter-replay'),
      example.the('sf-bulk-create'),
    ];
    const target = itsOwnCreate ? 'create-2' : create.id;
    example.nodes.push(
      { ...button, id: 'button-2', name: 'beside', wires: [['replay-2']] },
      { ...node, id: 'replay-2', wires: [[target]] },
    );
    if (itsOwnCreate)
      example.nodes.push({ ...create, id: 'create-2', loadName: 'contacts, replayed beside' });
    return 'button-2';
  }

  it('is shared by two replays at once, and no record is sent twice', async function () {
    this.timeout(PATIENCE_MS * 2);
    const example = await replayExample();
    example.set('dead-letter-replay', { batchSize: 20 });
    const second = withSecondReplay(example, true);
    await start(example.nodes, 1000);
    const seen = nodeRed.debug.length;
    await Promise.all([pressed(example), second].map((button) => nodeRed.inject(button)));
    const receipts = () =>
      nodeRed.debug.slice(seen).filter(({ nodeId }) => nodeId === example.behind('sf-bulk-create', 2));
    await nodeRed.waitFor(() => receipts().length === 2, 'both have ended', PATIENCE_MS);
    await untilStatuses({ replayed: 1000 });
    assert.deepEqual(inserted(), { inserts: 1000, repeated: 0 });
    const shares = receipts().map(({ value }) => (value as Receipt).uploaded);
    assert.ok(Math.min(...shares) > 0, `both had some: ${shares}`);
  });

  it('gives back what a load that is running refuses', async function () {
    this.timeout(PATIENCE_MS * 2);
    const example = await replayExample();
    example.set('dead-letter-replay', { batchSize: 20 });
    const second = withSecondReplay(example, false);
    await start(example.nodes, 200);
    const held = world.org.faults.add({ kind: 'delay', method: 'PATCH', path: /\/jobs\/ingest\//, ms: 1500 });
    const seen = nodeRed.debug.length;
    await nodeRed.inject(pressed(example));
    await nodeRed.waitFor(async () => (await statuses()).dead === undefined, 'all letters are claimed');
    await world.query(LETTERS.replaceAll("'C-' ||", "'D-' ||").replaceAll("'key-'", "'other-'"), [50]);
    await nodeRed.inject(second);
    const { error } = await outcome(example, nodeRed, seen);
    assert.match(error?.message ?? '', /is still running/);
    await untilStatuses({ dead: 50, replaying: 200 });
    world.org.faults.remove(held);
    await untilStatuses({ dead: 50, replayed: 200 });
    assert.deepEqual(inserted(), { inserts: 200, repeated: 0 });
    await replay(example, { button: second });
    await untilStatuses({ replayed: 250 });
    assert.deepEqual(inserted(), { inserts: 250, repeated: 0 });
  });

  it('knows what was loaded and what was not when it breaks off in the middle', async function () {
    this.timeout(PATIENCE_MS * 2);
    const example = await replayExample();
    example.set('dead-letter-replay', { batchSize: 100 }).set('sf-bulk-create', { maxRecordsPerJob: 70 });
    await start(example.nodes, 300);
    // The third job, so that two claims are loaded in part.
    world.org.faults.add({
      kind: 'status',
      method: 'PUT',
      path: /\/batches/,
      nth: 3,
      status: 400,
      body: [{ errorCode: 'INVALIDJOB', message: 'no' }],
    });
    const { error } = await replay(example);
    assert.ok(error);
    await untilStatuses({ dead: 160, replayed: 140 });
    assert.deepEqual(inserted(), { inserts: 140, repeated: 0 });
    await replay(example);
    await untilStatuses({ replayed: 300 });
    assert.deepEqual(inserted(), { inserts: 300, repeated: 0 });
  });

  it('gives back letters whose records Salesforce did not process', async function () {
    this.timeout(PATIENCE_MS * 2);
    const example = await replayExample();
    example.set('dead-letter-replay', { batchSize: 40 });
    await start(example.nodes, 101);
    await world.query(
      `UPDATE sf_sync_dead_letter SET record_data = record_data || '{"Visits__c": 7, "Description": "two\\r\\nlines, \\"quoted\\"", "Phone": null, "DoNotCall": true}' WHERE id % 2 = 0`,
    );
    // The first job holds one record: those behind it have more columns.
    world.org.jobFaults.add({ kind: 'fail-half', nth: 2 });
    const { receipt } = await replay(example);
    assert.deepEqual([receipt?.succeeded, receipt?.unprocessed], [51, 50]);
    await untilStatuses({ dead: 50, replayed: 51 });
    const loaded = new Set([...world.org.records('Contact')].map(({ External_Id__c }) => External_Id__c));
    const letters = await world.query(
      "SELECT status, record_data ->> 'External_Id__c' AS key, claim_id FROM sf_sync_dead_letter",
    );
    for (const { status, key, claim_id } of letters) {
      assert.equal(status, loaded.has(key as string) ? 'replayed' : 'dead');
      assert.equal(claim_id === null, status === 'dead');
    }
    await replay(example);
    await untilStatuses({ replayed: 101 });
    assert.deepEqual(inserted(), { inserts: 101, repeated: 0 });
  });

  it('is refused where another Node-RED loads, and both go on from there', async function () {
    this.timeout(PATIENCE_MS * 2);
    const example = await replayExample();
    example.set('dead-letter-replay', { batchSize: 20 });
    const beside = await world.startNodeRed();
    other = beside;
    await start(example.nodes, 400);
    await beside.deploy(example.nodes);
    const ended = await Promise.all([nodeRed, beside].map((on) => replay(example, { on })));
    const receipts = ended.flatMap(({ receipt }) => receipt ?? []);
    assert.ok(receipts.length >= 1);
    for (const { error } of ended) if (error) assert.match(error.message, /LOAD_|running|loaded already/);
    for (let tries = 0; tries < 5 && (await statuses()).replayed !== 400; tries += 1) {
      await replay(example, { on: tries % 2 === 0 ? beside : nodeRed });
      await nodeRed.waitFor(async () => (await statuses()).replaying === undefined, 'no claim stays open');
    }
    await untilStatuses({ replayed: 400 });
    assert.deepEqual(inserted(), { inserts: 400, repeated: 0 });
  });

  const CRASHES = [
    {
      when: 'before a job is made',
      fault: { method: 'POST', path: /\/jobs\/ingest\/?$/, nth: 1 },
      loaded: 0,
    },
    {
      when: 'with two of five jobs closed',
      fault: { method: 'PUT', path: /\/batches/, nth: 3 },
      loaded: 140,
    },
  ];
  for (const { when, fault, loaded } of CRASHES) {
    it(`is carried on after a crash ${when}: loaded is loaded, the rest is dead again`, async function () {
      this.timeout(PATIENCE_MS * 2);
      const example = await replayExample();
      example.set('dead-letter-replay', { batchSize: 100 }).set('sf-bulk-create', { maxRecordsPerJob: 70 });
      await nodeRed.deploy([{ id: 'nothing', type: 'tab', label: 'nothing' }]);
      const first = other ?? (await world.startNodeRed());
      await start(example.nodes, 300, first);
      const hung = world.org.faults.add({ kind: 'hang', ...fault });
      await first.inject(pressed(example));
      await first.waitFor(() => world.org.faults.struck(hung) > 0, 'a request hangs');
      await first.kill();
      world.org.faults.clear();

      const ended = (runs: number) => async () =>
        (await world.count("sf_sync_run WHERE state = 'ended'")) === runs;
      const second = await world.startNodeRed(first.userDir);
      other = second;
      await second.waitFor(ended(1), 'the run has ended', PATIENCE_MS);
      assert.deepEqual(inserted(), { inserts: loaded, repeated: 0 });
      await second.inject(pressed(example));
      await second.waitFor(ended(2), 'the rest is loaded', PATIENCE_MS);
      await untilStatuses({ replayed: 300 }, second);
      assert.deepEqual(inserted(), { inserts: 300, repeated: 0 });
      const attempts = 'SELECT DISTINCT jsonb_array_length(attempts) AS n FROM sf_sync_dead_letter';
      assert.deepEqual(await world.query(attempts), [{ n: 2 }]);
    });
  }
});
