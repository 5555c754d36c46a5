/** Sends what became of a job's records: successes, failures and unprocessed ones, and the job's receipt when it is settled. */
import { systemClock } from '../src/clock.ts';
import { reasonOf } from '../src/errors.ts';
import type { Job } from '../src/job.ts';
import { settlements } from '../src/load/connection.ts';
import type { JobResults } from '../src/load/results.ts';
import type { Settlement } from '../src/load/settlement.ts';
import { RESULT_KINDS } from '../src/salesforce/ingest.ts';
import { nameOf } from './shared/batch-in-flight.ts';
import { markingLast, OutputSequence } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SfConnectionNode } from './shared/connections.ts';
import { jobOfMessage } from './shared/job-message.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { type Input, onInput } from './shared/runner.ts';
import { readSequence, sendSequence, withFailedBatches } from './shared/sequence-settings.ts';
import { StatusLine } from './shared/status.ts';
import { StoppedByDeploy } from './shared/stopped-by-deploy.ts';
import { text, useCatalogue } from './shared/texts.ts';
import { Turns } from './shared/turns.ts';

/** The html's defaults: connection, batchSize, maxInFlight, onError, stuckAfter, settleWhen, lane. */
type Settings = ReturnType<typeof readResults>;

const RECEIPT_OUTPUT = 3;
/** A job's results are read by one node at a time. */
const HANDS = 'results';

export default function (RED: Red): void {
  useCatalogue(RED);
  function SfBulkResults(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const turns = new Turns();
    onInput(this, {
      settings: readConfig(RED, this, config, readResults),
      status,
      handle: (input) => results(RED, this, input, turns, status),
    });
  }

  RED.nodes.registerType('sf-bulk-results', SfBulkResults);
}

function readResults(properties: ConfigReader) {
  return {
    connection: properties.node<SfConnectionNode>('connection', 'sf-connection').connection,
    batchSize: properties.integer('batchSize', { min: 1, max: 100_000, default: 1000 }),
    sequence: readSequence(properties),
    settleWhen: properties.oneOf('settleWhen', ['accounted', 'through'], 'accounted'),
    lane: properties.oneOf('lane', ['records', 'csv'], 'records'),
  };
}

async function results(
  RED: Red,
  node: Node,
  input: Input<Settings>,
  turns: Turns,
  status: StatusLine,
): Promise<void> {
  const { message, settings, signal } = input;
  const { connection } = settings;
  const job = await jobOfMessage(message, connection, signal);
  const reader = connection.inHand.takenBy(job.id, HANDS);
  const release = await connection.carryOn(job.id, HANDS, nameOf(node));
  if (!release) {
    // A job that was sent again may meet its first message at the same node: that is no news.
    if (reader !== undefined && reader !== nameOf(node)) sayTaken(node, job, reader, status);
    return;
  }
  try {
    await turns.take(signal, () => deliver(RED, node, input, job, status));
  } catch (error) {
    // Before the load hears of it, which may send the job again at once.
    release();
    await connection.park(job.id, reasonOf(error), error instanceof StoppedByDeploy);
    throw error;
  } finally {
    release();
  }
}

/** Of two results nodes one would wait in vain for its rows to be accounted for. */
function sayTaken(node: Node, { id: job }: Job, reader: string, status: StatusLine): void {
  node.warn(text('warning.jobTaken', { job, node: reader }));
  status.waiting(text('status.jobTaken', { job }));
}

/** Downloads the results, sends them, waits until the job is settled, and writes its receipt. */
async function deliver(
  RED: Red,
  node: Node,
  input: Input<Settings>,
  job: Job,
  status: StatusLine,
): Promise<void> {
  const { message, send, settings, signal } = input;
  const { connection } = settings;
  const startedAt = (await connection.ledger.now()).toISOString();
  status.waiting(text('status.results', { job: job.id }));
  const files = await connection.downloadResults(job, signal);
  let settlement: Settlement | undefined;
  try {
    settlement = await connection.openSettlement(files, settings.batchSize);
    await connection.giveBackUnprocessed(files, signal);
    const failed = await sendSequence(RED, node, input, settings.sequence, (sendOut, broken) =>
      sendResults(input, files, sendOut, broken, status),
    );
    if (settings.settleWhen === 'accounted') {
      status.waiting(text('status.lastRecords'));
      await settlement.untilAccounted(settings.sequence.stuckAfter * 1000, signal);
    }
    const receipt = await connection.settle(settlement, startedAt);
    const settled = text('status.settled', { succeeded: receipt.succeeded, failed: receipt.failed });
    status.done(withFailedBatches(settled, failed));
    const out: Message[] = [];
    out[RECEIPT_OUTPUT] = { ...message, payload: receipt, job };
    send(Array.from({ length: RECEIPT_OUTPUT + 1 }, (_, output) => out[output] ?? null));
  } finally {
    if (settlement) settlements.close(settlement);
    await files.remove();
  }
}

type SendOut = (message: Message, output?: number) => Promise<unknown>;

/** Output 1: successes; 2: failures; 3: unprocessed. Each is a sequence of its own, closed also when it has no rows. */
async function sendResults(
  { message, settings }: Input<Settings>,
  files: JobResults,
  send: SendOut,
  signal: AbortSignal,
  status: StatusLine,
): Promise<void> {
  const { batchSize, lane } = settings;
  const { job } = files;
  const carried: Message = { ...message, job };
  const meter = new RateMeter(systemClock);
  for (const [index, kind] of RESULT_KINDS.entries()) {
    const output = new OutputSequence({ outer: message.parts });
    if (lane === 'csv') {
      if (kind === 'failedResults') await files.countErrorCodes(signal);
      const payload = { records: files.records(kind) };
      await send({ ...output.batch(carried, [], true), payload, filename: files.path(kind) }, index);
      continue;
    }
    for await (const { value, last } of markingLast<object[]>(files.rows(kind, batchSize, signal))) {
      await send(output.batch(carried, value, last), index);
      meter.add(value.length);
      status.working(() => meter.text());
    }
    const closing = output.closing(carried);
    if (closing) await send(closing, index);
  }
}
