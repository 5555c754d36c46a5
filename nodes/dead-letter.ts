/** Keeps in a table what failed for good, each record once, until somebody mends it and sends it again. */
import { createHash } from 'node:crypto';
import { systemClock } from '../src/clock.ts';
import { DeadLetters, type NewDeadLetter } from '../src/database/dead-letters.ts';
import { storableJson } from '../src/database/storable-text.ts';
import { reasonOf } from '../src/errors.ts';
import type { Failure } from '../src/failure.ts';
import { settlements } from '../src/load/connection.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SyncDatabaseNode } from './shared/connections.ts';
import { jobIdOfKey } from './shared/failure-batches.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { onInput } from './shared/runner.ts';
import { sequenceMark } from './shared/sequence-mark.ts';
import { StatusLine } from './shared/status.ts';
import { loadError, text, useCatalogue } from './shared/texts.ts';

export default function (RED: Red): void {
  useCatalogue(RED);
  function DeadLetter(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const meter = new RateMeter(systemClock, 'kept');
    const settings = readConfig(RED, this, config, (properties) => readDeadLetters(properties, this, status));
    let isClosed = false;
    this.on('close', (_removed, done) => {
      isClosed = true;
      done();
    });
    onInput(this, {
      settings,
      status,
      handle: async ({ message, send, signal, settings: letters }) => {
        const batch = lettersOf(message);
        const { stored, alreadyThere } = await letters.store(batch, signal);
        account(batch);
        meter.add(stored);
        status.done(() => {
          const kept = meter.text();
          return alreadyThere > 0 ? text('status.thereBefore', { kept, there: alreadyThere }) : kept;
        });
        send(message);
      },
    });
    // A person hears at deploy what is wrong with the table; that the database is away now is no fault yet.
    if (settings.ok)
      settings.value.prepare().catch((error) => {
        if (!isClosed) this.warn(text('warning.tableNotReady', { reason: reasonOf(error) }));
      });
  }

  RED.nodes.registerType('dead-letter', DeadLetter);
}

/** The html's defaults: database, table, createTable. */
function readDeadLetters(properties: ConfigReader, node: Node, status: StatusLine): DeadLetters {
  const { database } = properties.node<SyncDatabaseNode>('database', 'sync-database');
  const table = properties.optionalText('table', 'sf_sync_dead_letter');
  return new DeadLetters(database, {
    table,
    createTable: properties.boolean('createTable', true),
    clock: systemClock,
    onWait: () => status.waiting(text('status.databaseAway')),
    onMuleTable: () => node.warn(text('warning.muleTable', { table })),
  });
}

function lettersOf(message: Message): NewDeadLetter[] {
  const { payload } = message;
  const isBatch = Array.isArray(payload) && payload.every(isFailure);
  // A caught batch of failures is kept record by record; one of none, for its error.
  if (isCaught(message) && !(isBatch && payload.length > 0)) return [caughtLetter(message)];
  if (isBatch) return payload.map((failure) => letterOf(failure, message));
  throw loadError('RECORD_INVALID', 'noLetters');
}

function isFailure(value: unknown): value is Failure {
  return (
    typeof value === 'object' &&
    value !== null &&
    'key' in value &&
    'originalData' in value &&
    typeof value.key === 'string'
  );
}

/** What is known of the job that the records of a message are of; a replay's has no id. */
interface GivenJob {
  id?: unknown;
  runId?: unknown;
  loadName?: unknown;
  object?: unknown;
  operation?: unknown;
  externalIdField?: unknown;
}

/** The failure's own job, where it is known here, counts before the message's: a join may have put several jobs together. */
function letterOf(failure: Failure, message: Message): NewDeadLetter {
  const given = (message.job ?? {}) as GivenJob;
  const jobId = jobIdOfKey(failure.key) ?? textOf(given.id);
  const settlement = jobId === null ? undefined : settlements.find(jobId);
  const job: GivenJob = { ...given, ...settlement?.job };
  return {
    key: failure.key,
    recordData: failure.originalData,
    errorMessage: String(failure.error ?? ''),
    errorCode: textOf(failure.errorCode),
    errorCategory: textOf(failure.errorCategory),
    retryable: failure.retryable === true,
    attempts: Array.isArray(failure.attempts) ? failure.attempts : [],
    jobId,
    runId: textOf(job.runId),
    loadName: textOf(settlement?.loadName ?? given.loadName),
    object: textOf(job.object),
    operation: textOf(job.operation),
    externalIdField: textOf(job.externalIdField),
  };
}

/** Messages come from whatever a flow makes of them. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

interface CaughtError {
  message?: unknown;
  code?: unknown;
  source?: { id?: unknown; type?: unknown; name?: unknown };
}

function isCaught({ error }: Message): boolean {
  return typeof error === 'object' && error !== null && 'source' in error;
}

/**
 * One letter a message. The same delivery has the same key; the batches of one sequence share their message's id, and may
 * all fail with the same words.
 */
function caughtLetter(message: Message): NewDeadLetter {
  const error = message.error as CaughtError;
  const source = error.source ?? {};
  const where = `${source.type ?? 'node'} ${source.name || source.id || ''}`.trim();
  const { id: sequence, index } = sequenceMark(message) ?? {};
  const payload = storableJson(message.payload).json;
  const hash = createHash('sha256')
    .update(JSON.stringify([source.id, message._msgid, String(error.message), sequence, index, payload]))
    .digest('hex');
  return {
    key: `caught-${hash.slice(0, 32)}`,
    recordData: message.payload ?? null,
    errorMessage: `${where}: ${String(error.message ?? 'unknown error')}`,
    errorCode: typeof error.code === 'string' ? error.code : null,
    errorCategory: null,
    retryable: false,
    attempts: [],
    jobId: null,
    runId: null,
    loadName: null,
    object: null,
    operation: null,
    externalIdField: null,
  };
}

function account(letters: readonly NewDeadLetter[]): void {
  for (const { key, jobId } of letters) {
    if (jobId !== null) settlements.find(jobId)?.noteDeadLettered([key]);
  }
}
