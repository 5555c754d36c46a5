import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MEMORY_LIMITS } from '../../sandbox/launcher/node-red-process.ts';
import type { Receipt } from '../../src/receipt.ts';
import { UPLOAD } from '../chaos/fault-rows.ts';
import { Person } from '../chaos/kill-person.ts';
import { World } from '../chaos/kill-world.ts';
import type { DeployType, FlowNode, NodeRed } from '../support/node-red.ts';
import { until } from '../support/until.ts';

/** About 47 MB of CSV: far more than the load may have in hand. */
const ROWS = 300_000;
const LEAST_BYTES_PER_ROW = 150;
const BATCH = 5000;
const MAX_IN_FLIGHT = 4;
const MEGABYTES_PER_JOB = 3;
const MEGABYTE = 1_000_000;
const BYTES_PER_SECOND = MEGABYTE;
/** The file being written, one that uploads, one that waits. */
const MOST_FILES = 3;
const MOST_MEMORY = 256 * 1024 * 1024;
const GONE_WITHIN_MS = 5000;

const PACKAGE = 'node-red-contrib-salesforce-bulk';
/** Of the name of a scratch file on its way up. */
const isUpload = (name: string) => name.endsWith('Load_Test__c-insert.csv');

const isComplaint = (line: string) => /\[(warn|error)\]/.test(line);

const READY_ROWS = `
  SELECT id, key, repeat(md5(id::text), 4) AS payload FROM source WHERE status = 'READY' ORDER BY id`;
const AS_RECORD = `
  msg.payload = msg.payload.map(({ id, key, payload }) => (
    { Name: \`Row \${id}\`, Key__c: key, Value__c: id, Payload__c: payload }));
  return msg;`;

/** Counts the batches that the select has sent, and those of them that the create node has not called `done` for. */
const COUNT: FlowNode = {
  id: 'count',
  type: 'function',
  outputs: 1,
  initialize: "flow.set('counts', { sent: 0, inFlight: 0 });",
  func: `
    const counts = flow.get('counts');
    counts.sent += 1;
    counts.inFlight += 1;
    node.status({ text: JSON.stringify(counts) });
    return msg;`,
};
const COUNT_DOWN: FlowNode[] = [
  { id: 'taken', z: 'tab', type: 'complete', scope: ['create'], uncaught: false, wires: [['count-down']] },
  {
    id: 'count-down',
    z: 'tab',
    type: 'function',
    outputs: 0,
    func: "flow.get('counts').inFlight -= 1;",
    wires: [],
  },
];

interface Stop {
  how: string;
  type: DeployType;
  change(node: FlowNode): FlowNode;
  /** The upload in the middle of which it comes. */
  upload: number;
}

const STOPS: Stop[] = [
  { how: 'a full deploy', type: 'full', change: (node) => node, upload: 3 },
  {
    how: 'a deploy of the select node',
    type: 'nodes',
    change: (node) => (node.id === 'select' ? { ...node, name: 'changed' } : node),
    upload: 1,
  },
  {
    how: 'disabling the flow',
    type: 'flows',
    change: (node) => (node.id === 'tab' ? { ...node, disabled: true } : node),
    upload: 1,
  },
];

describe('A load into an org that takes uploads at 1 MB/s', () => {
  let world: World;
  let nodeRed: NodeRed;
  let flows: FlowNode[];
  let scratch: string;
  let throttle: number;
  let statusesBefore = 0;

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'sf-bulk-back-pressure-'));
    world = await World.open({
      flow: {
        maxRecordsPerJob: 0,
        batchSize: BATCH,
        between: [{ after: 'select', node: COUNT }],
        more: COUNT_DOWN,
      },
      env: { one: { TMPDIR: scratch, NODE_OPTIONS: MEMORY_LIMITS.join(' ') } },
    });
    nodeRed = await world.start('one');
    flows = (await nodeRed.flows()).map(adapted);
  });
  after(async () => {
    await world.close();
    await rm(scratch, { recursive: true, force: true });
  });

  function adapted(node: FlowNode): FlowNode {
    if (node.id === 'select') return { ...node, sql: READY_ROWS, maxInFlight: MAX_IN_FLIGHT };
    if (node.id === 'fields') return { ...node, func: AS_RECORD };
    if (node.id === 'create') return { ...node, maxMegabytesPerJob: MEGABYTES_PER_JOB };
    return node;
  }

  async function beginLoad(): Promise<Person> {
    await world.seed([]);
    await world.query("INSERT INTO source (id, key) SELECT n, 'row-' || n FROM generate_series(1, $1) AS n", [
      ROWS,
    ]);
    throttle = world.org.faults.add({ ...UPLOAD, kind: 'throttle', bytesPerSecond: BYTES_PER_SECOND });
    await nodeRed.deploy(flows, { type: 'full' });
    statusesBefore = nodeRed.comms.statuses.length;
    const person = new Person(world, 50_000);
    await person.trigger(nodeRed);
    return person;
  }

  /** Of the product, in its directory for files of passing use. */
  async function scratchFiles(): Promise<string[]> {
    const entries = await readdir(scratch, { recursive: true, withFileTypes: true });
    const ours = entries.filter((entry) => entry.isFile() && entry.parentPath.includes(PACKAGE));
    return ours.map(({ name }) => name);
  }

  /** Of the select: its connection, which has the cursor, and the temporary files in which the server keeps the rows. */
  async function onServer(): Promise<{ cursors: number; transactions: number; temporaryFiles: number }> {
    const [row] = await world.query<{ cursors: number; transactions: number; temporaryFiles: number }>(`
      SELECT count(*)::int AS cursors,
             count(*) FILTER (WHERE state <> 'idle' OR xact_start IS NOT NULL)::int AS transactions,
             (SELECT count(*) FROM pg_ls_tmpdir())::int AS "temporaryFiles"
      FROM pg_stat_activity WHERE usename = 'one' AND application_name LIKE '% select'`);
    assert.ok(row);
    return row;
  }

  function counts(): { sent: number; inFlight: number }[] {
    const statuses = nodeRed.comms.statuses.slice(statusesBefore);
    return statuses.flatMap(({ nodeId, text }) => (nodeId === 'count' && text ? [JSON.parse(text)] : []));
  }

  async function untilHeldBack(upload: number): Promise<void> {
    const isUnderWay = () => world.org.faults.struck(throttle) === upload;
    await until(isUnderWay, `upload ${upload} is under way`, 40_000);
    await until(async () => (await scratchFiles()).filter(isUpload).length === MOST_FILES, 'files wait');
    await until(() => counts().at(-1)?.inFlight === MAX_IN_FLIGHT, 'batches wait');
  }

  async function checkHeldBack(upload: number): Promise<void> {
    const { cursors, transactions, temporaryFiles } = await onServer();
    assert.deepEqual({ cursors, transactions }, { cursors: 1, transactions: 0 });
    assert.ok(temporaryFiles > 0, 'else the test would not see it go');
    assert.equal(world.org.audit.openJobs, 1);
    const most = Math.max(...counts().map(({ inFlight }) => inFlight));
    assert.equal(most, MAX_IN_FLIGHT);
    const rowsSent = BATCH * (counts().at(-1)?.sent ?? 0);
    const inFiles = ((upload - 1 + MOST_FILES) * MEGABYTES_PER_JOB * MEGABYTE) / LEAST_BYTES_PER_ROW;
    assert.ok(rowsSent <= inFiles + MAX_IN_FLIGHT * BATCH, `${rowsSent} rows were sent`);
    const { peak } = await nodeRed.memory();
    assert.ok(peak <= MOST_MEMORY, `${Math.round(peak / 1024 / 1024)} MiB`);
  }

  async function leftOpen(): Promise<Record<string, number>> {
    const { cursors, temporaryFiles } = await onServer();
    return {
      cursors,
      temporaryFiles,
      openJobs: world.org.audit.openJobs,
      scratchFiles: (await scratchFiles()).length,
    };
  }

  /** Jobs that were closed come to their end, the other rows are READY, and the run says so. */
  async function checkBrokenOff(person: Person, upload: number): Promise<void> {
    const { ready } = await person.untilSettled();
    const { Aborted, JobComplete = 0 } = world.org.audit.jobsByState();
    assert.deepEqual({ Aborted, JobComplete }, { Aborted: 1, JobComplete: upload - 1 });
    const jobs = await world.query<{ state: string }>('SELECT state FROM sf_sync_job ORDER BY number');
    assert.deepEqual(
      jobs.map(({ state }) => state),
      [...Array(upload - 1).fill('settled'), 'discarded'],
    );
    const [run] = await world.query<{ receipt: Receipt }>('SELECT receipt FROM sf_sync_run');
    assert.ok(run);
    const { complete, succeeded, unaccounted } = run.receipt;
    assert.deepEqual(
      { complete, succeeded, unaccounted },
      { complete: false, succeeded: ROWS - ready, unaccounted: 0 },
    );
  }

  for (const { how, type, change, upload } of STOPS) {
    it(`is held back at the select; ${how}, in upload ${upload}, leaves nothing open after 5 s`, async () => {
      const person = await beginLoad();
      await untilHeldBack(upload);
      await checkHeldBack(upload);

      const loggedBefore = nodeRed.logs.length;
      const begunAt = performance.now();
      await nodeRed.deploy(flows.map(change), { type });
      let left = await leftOpen();
      while (Object.values(left).some((count) => count > 0) && performance.now() - begunAt < GONE_WITHIN_MS)
        left = await leftOpen();
      assert.deepEqual(left, { cursors: 0, temporaryFiles: 0, openJobs: 0, scratchFiles: 0 });
      await checkBrokenOff(person, upload);
      assert.deepEqual(nodeRed.logs.slice(loggedBefore).filter(isComplaint), []);
    });
  }
});
