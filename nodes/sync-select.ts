/** Reads rows from PostgreSQL and sends them in batches, no faster than the nodes behind it take them. */
import { rm } from 'node:fs/promises';
import { systemClock } from '../src/clock.ts';
import { copyOut } from '../src/database/copy-out.ts';
import { openSelect } from '../src/database/select.ts';
import { Scratch } from '../src/load/scratch.ts';
import type { SourceRecord } from '../src/record.ts';
import { markingLast, OutputSequence } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SyncDatabaseNode } from './shared/connections.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { type Input, onInput } from './shared/runner.ts';
import { readSequence, sendSequence, withFailedBatches } from './shared/sequence-settings.ts';
import { StatusLine } from './shared/status.ts';
import { loadError, text, useCatalogue } from './shared/texts.ts';

/** Below the limit of one upload, so that a file of the CSV lane becomes one job. */
const MAX_FILE_BYTES = 100_000_000;

/** The html's defaults: database, sql, params, batchSize, maxInFlight, onError, stuckAfter, lane. */
type Settings = ReturnType<typeof readSelect>;

export default function (RED: Red): void {
  useCatalogue(RED);
  function SyncSelect(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    onInput(this, {
      settings: readConfig(RED, this, config, readSelect),
      status,
      serial: true,
      handle: (input) => select(RED, this, input, status),
    });
  }

  RED.nodes.registerType('sync-select', SyncSelect);
}

function readSelect(properties: ConfigReader) {
  return {
    database: properties.node<SyncDatabaseNode>('database', 'sync-database').database,
    sql: properties.text('sql'),
    params: properties.typedInput('params', ['json', 'jsonata'], 'json'),
    batchSize: properties.integer('batchSize', { min: 1, max: 100_000, default: 5000 }),
    sequence: readSequence(properties),
    lane: properties.oneOf('lane', ['records', 'csv'], 'records'),
  };
}

async function select(RED: Red, node: Node, input: Input<Settings>, status: StatusLine): Promise<void> {
  const meter = new RateMeter(systemClock);
  const openedAt = systemClock.now();
  const { settings } = input;
  status.waiting(text('status.query'));
  const params = await parametersOf(input);
  const count = (rows: number) => {
    meter.add(rows);
    status.working(() => meter.text());
  };
  const scratch = settings.lane === 'csv' ? await Scratch.open() : undefined;
  try {
    const sequence = { ...settings.sequence, openedAt };
    const failed = await sendSequence(RED, node, input, sequence, async (send, signal) => {
      if (scratch) await sendFiles(input, params, scratch, signal, send, count);
      else await sendBatches(input, params, signal, send, count);
    });
    status.done(() => withFailedBatches(meter.text(), failed));
  } finally {
    await scratch?.close();
  }
}

type SendOut = (message: Message, output?: number, onThrough?: () => void) => Promise<unknown>;

async function sendBatches(
  { message, settings }: Input<Settings>,
  params: unknown[],
  signal: AbortSignal,
  send: SendOut,
  count: (rows: number) => void,
): Promise<void> {
  const output = new OutputSequence({ outer: message.parts });
  const { database, sql, batchSize } = settings;
  for await (const { value, last } of markingLast<SourceRecord[]>(
    openSelect(database, { sql, params, batchSize, signal }),
  )) {
    await send(output.batch(message, value, last));
    count(value.length);
  }
  const closing = output.closing(message);
  if (closing) await send(closing);
}

/**
 * One message a file, which is removed when every node behind is through with it: there are at most `maxInFlight` files and
 * one more, which waits for its turn.
 */
async function sendFiles(
  { message, settings }: Input<Settings>,
  params: unknown[],
  scratch: Scratch,
  signal: AbortSignal,
  send: SendOut,
  count: (rows: number) => void,
): Promise<void> {
  const output = new OutputSequence({ outer: message.parts });
  let files = 0;
  const nextPath = () => {
    files += 1;
    return scratch.file(`select-${files}.csv`).path;
  };
  const { database, sql } = settings;
  for await (const file of copyOut(database, { sql, params, maxBytes: MAX_FILE_BYTES, nextPath, signal })) {
    const { path, records, bytes, last } = file;
    const out = { ...output.batch(message, [], last), payload: { records, bytes }, filename: path };
    // What cannot be removed now goes with its directory, or is told of then.
    await send(out, 0, () => void rm(path, { force: true }).catch(() => {}));
    count(records);
  }
}

async function parametersOf({ message, settings }: Input<Settings>): Promise<unknown[]> {
  const value = (await settings.params.evaluate(message)) ?? [];
  if (Array.isArray(value)) return value;
  throw loadError('CONFIG_INVALID', 'params');
}
