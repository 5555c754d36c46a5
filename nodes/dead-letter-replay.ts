/** Sends dead letters again, once they are mended, to where they failed. */
import { systemClock } from '../src/clock.ts';
import { Replay, type ReplayBatch, type ReplayFilter } from '../src/database/replay.ts';
import { LoadError, reasonOf } from '../src/errors.ts';
import { type ClaimEnd, claims } from '../src/load/claims.ts';
import { claimState } from '../src/load/connection.ts';
import { markingLast, OutputSequence } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { type Input, onInput } from './shared/runner.ts';
import { sendSequence } from './shared/sequence-settings.ts';
import { StatusLine } from './shared/status.ts';
import type { TypedInput } from './shared/typed-input.ts';
import type { SyncDatabaseNode } from './sync-database.ts';

const TEXT_TYPES = ['str', 'msg', 'env'] as const;
const LIMIT_TYPES = ['num', 'msg', 'env'] as const;
const STUCK_AFTER_S = 600;

type Settings = ReturnType<typeof readReplay>;

export default function (RED: Red): void {
  function DeadLetterReplay(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const settings = readConfig(RED, this, config, readReplay);
    /** Claims that this node sent and that a run has taken. */
    const sent = new Set<string>();
    const onEnded = (claimId: string, end: ClaimEnd) => {
      if (!settings.ok || !sent.delete(claimId)) return;
      endClaim(settings.value.replay, claimId, end).catch((error) =>
        this.warn(
          `Claim ${claimId} could not be ended (${end}): ${reasonOf(error)}. The next replay looks again.`,
        ),
      );
    };
    claims.on('ended', onEnded);
    onInput(this, {
      settings,
      status,
      serial: true,
      handle: (input) => replay(RED, this, input, sent, status),
      close: () => {
        claims.off('ended', onEnded);
      },
    });
  }

  RED.nodes.registerType('dead-letter-replay', DeadLetterReplay);
}

/** The html's defaults: database, table, category, errorCode, jobId, limit (each with its type), batchSize, maxInFlight. */
function readReplay(properties: ConfigReader) {
  const { database } = properties.node<SyncDatabaseNode>('database', 'sync-database');
  return {
    replay: new Replay(database, { table: properties.optionalText('table', 'sf_sync_dead_letter') }),
    category: properties.typedInput('category', TEXT_TYPES, 'str'),
    errorCode: properties.typedInput('errorCode', TEXT_TYPES, 'str'),
    jobId: properties.typedInput('jobId', TEXT_TYPES, 'str'),
    limit: properties.typedInput('limit', LIMIT_TYPES, 'num'),
    batchSize: properties.integer('batchSize', { min: 1, max: 100_000, default: 1000 }),
    maxInFlight: properties.integer('maxInFlight', { min: 1, max: 100, default: 4 }),
  };
}

async function replay(
  RED: Red,
  node: Node,
  input: Input<Settings>,
  sent: Set<string>,
  status: StatusLine,
): Promise<void> {
  const { settings } = input;
  status.waiting('earlier claims');
  await endEarlierClaims(settings.replay, node);
  const filter = await filterOf(input);
  const meter = new RateMeter(systemClock, 'letters');
  const sequence = { maxInFlight: settings.maxInFlight, onError: 'stop', stuckAfter: STUCK_AFTER_S } as const;
  try {
    await sendSequence(RED, node, input, sequence, (send, signal) => {
      const batches = noting(sent, settings.replay.claim(filter, { batchSize: settings.batchSize, signal }));
      return sendClaims(input.message, batches, async (message, letters) => {
        await send(message);
        meter.add(letters);
        status.working(meter.text());
      });
    });
  } finally {
    await releaseUntaken(settings.replay, sent);
  }
  status.done(meter.text());
}

/** A claim is noted as soon as it is made: one that is never sent must be released too. */
async function* noting(sent: Set<string>, batches: AsyncIterable<ReplayBatch>): AsyncGenerator<ReplayBatch> {
  for await (const batch of batches) {
    sent.add(batch.claimId);
    yield batch;
  }
}

async function sendClaims(
  message: Message,
  batches: AsyncIterable<ReplayBatch>,
  send: (message: Message, letters: number) => Promise<void>,
): Promise<void> {
  const output = new OutputSequence({ outer: message.parts });
  for await (const { value, last } of markingLast(batches)) {
    const { claimId, object, operation, externalIdField, records } = value;
    const carried = { ...message, job: { object, operation, externalIdField }, claim: { id: claimId } };
    await send(output.batch(carried, records, last), records.length);
  }
  const closing = output.closing(message);
  if (closing) await send(closing, 0);
}

/** Claims that no run took when their batches were through: nothing will load them. */
async function releaseUntaken(replay: Replay, sent: Set<string>): Promise<void> {
  for (const claimId of [...sent]) {
    if (claims.isLoading(claimId)) continue;
    sent.delete(claimId);
    await replay.releaseClaim(claimId);
  }
}

/** Claims of an earlier process or deploy: the ledger tells what became of them. */
async function endEarlierClaims(replay: Replay, node: Node): Promise<void> {
  let unknown = 0;
  for (const { claimId } of await replay.openClaims()) {
    if (claims.isLoading(claimId)) continue;
    const state = await claimState(claimId);
    if (state === undefined) unknown += 1;
    else if (state === 'settled') await replay.settleClaim(claimId);
    else if (state !== 'loading') await replay.releaseClaim(claimId);
  }
  if (unknown === 0) return;
  node.warn(
    `${unknown} claims of an earlier Node-RED are open, and without a ledger nobody knows whether their records were loaded. ` +
      "Look into Salesforce, then set their status to 'dead' or 'replayed'.",
  );
}

async function endClaim(replay: Replay, claimId: string, end: ClaimEnd): Promise<void> {
  if (end === 'settled') await replay.settleClaim(claimId);
  else await replay.releaseClaim(claimId);
}

async function filterOf({ message, settings }: Input<Settings>): Promise<ReplayFilter> {
  const [category, errorCode, jobId] = await Promise.all(
    [settings.category, settings.errorCode, settings.jobId].map((input) => textOf(input, message)),
  );
  return { category, errorCode, jobId, limit: await limitOf(message, settings.limit) };
}

async function textOf(input: TypedInput, message: Message): Promise<string | undefined> {
  const value = await input.evaluate(message);
  return value === undefined || value === null || value === '' ? undefined : String(value);
}

async function limitOf(message: Message, input: TypedInput): Promise<number | undefined> {
  const value = await textOf(input, message);
  const limit = value === undefined ? undefined : Number(value);
  if (limit === undefined || (Number.isSafeInteger(limit) && limit > 0)) return limit;
  throw new LoadError('CONFIG_INVALID', 'limit must be a whole number of at least 1, or empty.');
}
