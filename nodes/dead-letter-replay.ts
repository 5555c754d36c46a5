/** Sends dead letters again, once they are mended, to where they failed. */
import { systemClock } from '../src/clock.ts';
import type { ClaimLetters } from '../src/database/ledger/job-ledger.ts';
import { type Claim, Replay, type ReplayFilter } from '../src/database/replay.ts';
import { reasonOf } from '../src/errors.ts';
import { type ClaimEnd, type ClaimedLetters, claims } from '../src/load/claims.ts';
import { claimState } from '../src/load/connection.ts';
import { OutputSequence } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SyncDatabaseNode } from './shared/connections.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { type Input, onInput } from './shared/runner.ts';
import { sendSequence } from './shared/sequence-settings.ts';
import { StatusLine } from './shared/status.ts';
import { loadError, text, useCatalogue } from './shared/texts.ts';
import type { TypedInput } from './shared/typed-input.ts';

const TEXT_TYPES = ['str', 'msg', 'env'] as const;
const LIMIT_TYPES = ['num', 'str', 'msg', 'env'] as const;
const STUCK_AFTER_S = 600;

type Settings = ReturnType<typeof readReplay>;

export default function (RED: Red): void {
  useCatalogue(RED);
  function DeadLetterReplay(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const settings = readConfig(RED, this, config, readReplay);
    /** Claims of this node that have not ended. */
    const made = new Set<string>();
    const onEnded = (claimId: string, end: ClaimEnd) => {
      if (!settings.ok || !made.delete(claimId)) return;
      endClaim(settings.value.replay, claimId, end).catch((error) =>
        this.warn(text('warning.claimNotEnded', { claim: claimId, reason: reasonOf(error) })),
      );
    };
    claims.on('ended', onEnded);
    const stopGivingBack = settings.ok ? claims.onUnprocessed(lettersIn(settings.value.replay)) : () => {};
    onInput(this, {
      settings,
      status,
      serial: true,
      handle: (input) => replay(RED, this, input, made, status),
      close: () => {
        claims.off('ended', onEnded);
        stopGivingBack();
        if (settings.ok) settings.value.replay.close();
      },
    });
  }

  RED.nodes.registerType('dead-letter-replay', DeadLetterReplay);
}

/** The html's defaults: database, table, category, errorCode, jobId, limit (each with its type), batchSize, maxInFlight. */
function readReplay(properties: ConfigReader) {
  const { database } = properties.node<SyncDatabaseNode>('database', 'sync-database');
  return {
    replay: new Replay(database, properties.optionalText('table', 'sf_sync_dead_letter'), systemClock),
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
  made: Set<string>,
  status: StatusLine,
): Promise<void> {
  const { settings } = input;
  status.waiting(text('status.earlierClaims'));
  await settings.replay.check();
  await endEarlierClaims(settings.replay, node);
  const filter = await filterOf(input);
  const most = await limitOf(input);
  const meter = new RateMeter(systemClock, 'letters');
  const { maxInFlight } = settings;
  try {
    await sendSequence(
      RED,
      node,
      input,
      { maxInFlight, onError: 'stop', stuckAfter: STUCK_AFTER_S },
      (send, signal) =>
        sendClaims(input, filter, most, made, signal, async (message, claim) => {
          await send(message);
          meter.add(claim?.records.length ?? 0);
          status.working(() => meter.text());
        }),
    );
  } finally {
    await releaseUntaken(settings.replay, made);
  }
  status.done(() => meter.text());
}

/** One claim ahead of what is sent, so that the last batch is known as such. */
async function sendClaims(
  { message, settings }: Input<Settings>,
  filter: ReplayFilter,
  most: number,
  made: Set<string>,
  signal: AbortSignal,
  send: (message: Message, claim?: Claim) => Promise<void>,
): Promise<void> {
  const output = new OutputSequence({ outer: message.parts });
  let left = most;
  const next = async () => {
    const claim =
      left > 0 ? await settings.replay.claim(filter, Math.min(settings.batchSize, left), signal) : undefined;
    if (claim) made.add(claim.id);
    left -= claim?.records.length ?? 0;
    return claim;
  };
  let claim = await next();
  while (claim) {
    const { id, object, operation, externalIdField, records, letters } = claim;
    const following = await next();
    const carried = { ...message, job: { object, operation, externalIdField }, claim: { id, letters } };
    await send(output.batch(carried, records, following === undefined), claim);
    claim = following;
  }
  const closing = output.closing(message);
  if (closing) await send(closing);
}

/** Claims that no run took when their batches were through: nothing will load them. */
async function releaseUntaken(replay: Replay, made: Set<string>): Promise<void> {
  for (const claimId of [...made]) {
    if (claims.isLoading(claimId)) continue;
    made.delete(claimId);
    await replay.release(claimId);
  }
}

/** Claims of an earlier process or deploy: the ledger tells what became of them. */
async function endEarlierClaims(replay: Replay, node: Node): Promise<void> {
  let unknown = 0;
  for (const claimId of await replay.openClaims()) {
    if (claims.isLoading(claimId)) continue;
    const state = (await claimState(claimId)) ?? (replay.isOwn(claimId) ? 'unknown' : undefined);
    if (state === undefined || state === 'unclear') unknown += 1;
    else if (state !== 'loading') await endClaim(replay, claimId, state === 'unknown' ? 'released' : state);
  }
  if (unknown > 0) node.warn(text('warning.claimsOpen', { count: unknown }));
}

function endClaim(replay: Replay, claimId: string, end: ClaimEnd): Promise<void> {
  if (end === 'settled') return replay.settle(claimId);
  return end === 'released' ? replay.release(claimId) : replay.settlePart(claimId, end.loaded);
}

/** Letters whose records Salesforce did not get to are dead again, whatever becomes of the rest of their claims. */
function lettersIn(replay: Replay): ClaimedLetters {
  return {
    find: async (claimIds, unprocessed, known) => {
      const found: ClaimLetters[] = [];
      for (const claimId of claimIds) {
        if (unprocessed.size === 0) break;
        const letters = await replay.lettersOf(claimId);
        const own = letters.filter(({ id, record }) => !known.has(id) && unprocessed.take(record));
        if (own.length > 0) found.push({ claimId, letters: own.map(({ id }) => id) });
      }
      return found;
    },
    giveBack: async (letters) => {
      let given = 0;
      for (const { claimId, letters: ids } of letters) given += await replay.giveBack(claimId, ids);
      return given;
    },
  };
}

async function filterOf({ message, settings }: Input<Settings>): Promise<ReplayFilter> {
  const [category, errorCode, jobId] = await Promise.all(
    [settings.category, settings.errorCode, settings.jobId].map((input) => textOf(input, message)),
  );
  return { category, errorCode, jobId };
}

async function textOf(input: TypedInput, message: Message): Promise<string | undefined> {
  const value = await input.evaluate(message);
  return value === undefined || value === null || value === '' ? undefined : String(value);
}

async function limitOf({ message, settings }: Input<Settings>): Promise<number> {
  const value = await settings.limit.evaluate(message);
  if (value === undefined || value === null || value === '') return Number.POSITIVE_INFINITY;
  const limit = Number(value);
  if (Number.isSafeInteger(limit) && limit > 0) return limit;
  throw loadError('CONFIG_INVALID', 'limit');
}
