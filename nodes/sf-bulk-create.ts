/** Loads records into Salesforce: as many Bulk API 2.0 ingest jobs as they need, and a receipt when all are settled. */
import { LONGEST_TIMER_MS, systemClock } from '../src/clock.ts';
import { reasonOf } from '../src/errors.ts';
import {
  COLUMN_DELIMITERS,
  type ColumnDelimiter,
  type JobSpec,
  LINE_ENDINGS,
  type LineEnding,
  OPERATIONS,
  type Operation,
} from '../src/job.ts';
import { carriedBy } from '../src/load/kept-message.ts';
import { Load } from '../src/load/load.ts';
import type { Receipt } from '../src/receipt.ts';
import { isRecord } from '../src/record.ts';
import { orAborted } from '../src/time-limit.ts';
import { forgetColumns, noteColumns, registerColumnsAdmin } from './shared/admin/seen-columns.ts';
import { readBatch } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SfConnectionNode } from './shared/connections.ts';
import { csvFile } from './shared/csv-file.ts';
import { whileFlowsRun } from './shared/flows-running.ts';
import { LoadIntake, type Rows } from './shared/load-intake.ts';
import { warnOfNoLedger } from './shared/memory-ledgers.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { RejectedOutput } from './shared/rejected-output.ts';
import { type Input, onInput, reportable } from './shared/runner.ts';
import { StatusLine } from './shared/status.ts';
import { loadError, statusOf, text, useCatalogue } from './shared/texts.ts';

/** The file being written, one that uploads, one that waits. */
const SCRATCH_FILES = 3;
const OUTAGE_MS = 600_000;
/** How often a second Node-RED looks whether the first one is gone, unless settings.js says otherwise. */
const STAND_IN_SECONDS = 30;
const MEGABYTE = 1_000_000;
const DELIMITERS = Object.keys(COLUMN_DELIMITERS) as ColumnDelimiter[];
const ENDINGS = Object.keys(LINE_ENDINGS) as LineEnding[];

export default function (RED: Red): void {
  useCatalogue(RED);
  registerColumnsAdmin(RED);

  function SfBulkCreate(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    let meter = new RateMeter(systemClock);
    const settings = readConfig(RED, this, config, (properties) => readCreate(properties, this.id));
    if (!settings.ok) {
      onInput(this, { settings, status, handle: () => Promise.reject(settings.error) });
      return;
    }
    const flows = whileFlowsRun(RED, () => start());
    const load = new Load({
      ...settings.value.load,
      connection: settings.value.connection,
      maxFiles: SCRATCH_FILES,
      outageMs: OUTAGE_MS,
      onJob: (job, carried) => this.send([{ ...carried, payload: job, job }, null, null]),
      onReceipt: (receipt, carried) => {
        meter = new RateMeter(systemClock);
        status.done(outcome(receipt));
        this.send([null, null, { ...carried, payload: receipt }]);
      },
      canSend: () => flows.running,
    });
    const intake = new LoadIntake(this.id, load, (error, carried) => {
      status.failed(statusOf(reportable(error)));
      this.error(error, carried);
    });
    const say = (error: unknown) => this.warn(text('warning.unfinishedJobs', { reason: reasonOf(error) }));
    const start = () => void load.start().catch(say);
    const standIn = setInterval(() => void load.standIn().catch(say), standInEvery(RED)).unref();
    onInput(this, {
      settings,
      status,
      handle: async (input) => {
        if (isAbandon(input.message)) {
          await orAborted(input.signal, abandon(load, input));
          return;
        }
        const rejected = new RejectedOutput(RED, this, input, (runId) =>
          carriedByRejected(input, runId, load),
        );
        const records = await take(input, this.id, intake, rejected);
        if (records > 0) meter.add(records);
        status.working(() => meter.text());
      },
      reset: async ({ message, signal }) => {
        if (hasRows(message)) throw loadError('RECORD_INVALID', 'resetWithRows');
        const reason = loadError('LOAD_BROKEN_OFF', 'reset', { load: load.loadName });
        await orAborted(signal, intake.breakOff(reason));
      },
      close: async (removed) => {
        clearInterval(standIn);
        flows.stop();
        forgetColumns(this.id);
        await load.close(!removed);
      },
    });
    if (!settings.value.connection.ledger.durable) {
      status.idle(text('status.noLedger'));
      warnOfNoLedger(this, load.loadName);
    }
  }

  RED.nodes.registerType('sf-bulk-create', SfBulkCreate, {
    settings: { sfBulkCreateStandInSeconds: { value: STAND_IN_SECONDS } },
  });
}

/** `sfBulkCreateStandInSeconds` of settings.js, in milliseconds. */
function standInEvery(RED: Red): number {
  const seconds = Number(RED.settings.sfBulkCreateStandInSeconds);
  return Math.min((seconds > 0 ? seconds : STAND_IN_SECONDS) * 1000, LONGEST_TIMER_MS);
}

/**
 * The html's defaults: connection, loadName, object, operation, externalIdField, mapping [{from, to}], nulls,
 * columnDelimiter, lineEnding, mode, maxRecordsPerJob, maxMegabytesPerJob, assignmentRuleId.
 */
function readCreate(properties: ConfigReader, nodeId: string) {
  const { connection } = properties.node<SfConnectionNode>('connection', 'sf-connection');
  return {
    connection,
    spec: {
      object: properties.optionalText('object'),
      operation: properties.oneOf('operation', OPERATIONS, 'insert'),
      externalIdField: properties.optionalText('externalIdField') || null,
      columnDelimiter: properties.oneOf('columnDelimiter', DELIMITERS, 'COMMA'),
      lineEnding: properties.oneOf('lineEnding', ENDINGS, 'LF'),
      assignmentRuleId: properties.optionalText('assignmentRuleId') || null,
    } satisfies JobSpec,
    load: {
      loadName: properties.optionalText('loadName') || nodeId,
      mode: properties.oneOf('mode', ['parallel', 'serial'], 'parallel'),
      nulls: properties.oneOf('nulls', ['clear', 'ignore'], 'clear'),
      mapping: properties.list('mapping', (row) => ({ from: row.text('from'), to: row.text('to') })),
      maxRecordsPerJob: properties.integer('maxRecordsPerJob', { min: 0, max: 150_000_000, default: 0 }),
      maxBytesPerJob:
        properties.number('maxMegabytesPerJob', { min: 0.001, max: 110, default: 100 }) * MEGABYTE,
    },
  };
}

type Settings = ReturnType<typeof readCreate>;

function outcome({ succeeded, retried, failed, apiCalls }: Receipt): string {
  return text('status.loaded', { loaded: succeeded + retried, lost: failed - retried, count: apiCalls });
}

/** Gives the rows of a message to the load; those that Salesforce cannot take leave on output 2. Returns how many records came. */
async function take(
  input: Input<Settings>,
  nodeId: string,
  intake: LoadIntake,
  output: RejectedOutput,
): Promise<number> {
  let records = 0;
  const read = () => {
    const rows = rowsOf(input.message);
    if ('records' in rows) {
      noteColumns(nodeId, rows.records);
      records = rows.records.length;
    }
    return { rows, spec: specOf(input) };
  };
  output.whole(await intake.take(input.message, read, input.signal, (group) => output.group(group)));
  return records;
}

interface GivenJob {
  object?: unknown;
  operation?: unknown;
  externalIdField?: unknown;
}

/** Operation, object and external id of `msg.job` win, so that replayed dead letters go where they came from. */
function specOf({ message, settings }: Input<Settings>): JobSpec {
  const given = (message.job ?? {}) as GivenJob;
  const operation = operationOr(given.operation, settings.spec.operation);
  const spec: JobSpec = {
    ...settings.spec,
    object: textOr(given.object, settings.spec.object),
    operation,
    externalIdField: hasNoExternalId(given, operation)
      ? null
      : textOr(given.externalIdField, settings.spec.externalIdField ?? '') || null,
  };
  if (spec.object === '') throw loadError('CONFIG_INVALID', 'noObject');
  if (spec.operation === 'upsert' && !spec.externalIdField) throw loadError('CONFIG_INVALID', 'noExternalId');
  return spec;
}

/** The node's external id is that of the node's object. */
function hasNoExternalId({ object, externalIdField }: GivenJob, operation: Operation): boolean {
  return textOr(object, '') !== '' && externalIdField === null && operation !== 'upsert';
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise;
}

function operationOr(value: unknown, otherwise: Operation): Operation {
  if (value === undefined || value === null || value === '') return otherwise;
  const known = OPERATIONS.find((operation) => operation === value);
  if (known) return known;
  throw loadError('CONFIG_INVALID', 'operation', { operations: OPERATIONS.join(', ') });
}

/**
 * An array is records, text or a Buffer is CSV, else `msg.filename` names a CSV file. What is no record among records is
 * data, and leaves on output 2; an array of nothing else is wired wrongly.
 */
function rowsOf(message: Message): Rows {
  const { payload, filename } = message;
  if (Array.isArray(payload)) return { records: payload.some(isRecord) ? payload : readBatch(message).rows };
  if (typeof payload === 'string' || Buffer.isBuffer(payload)) return { csv: payload };
  if (typeof filename === 'string' && filename !== '') return { csv: csvFile(filename) };
  throw loadError('RECORD_INVALID', 'noRows');
}

/** Something that `rowsOf` could make rows of. CSV has a line break after its header. */
function hasRows({ payload, filename }: Message): boolean {
  if (Array.isArray(payload)) return payload.some(isRecord);
  if (Buffer.isBuffer(payload)) return payload.length > 0;
  if (typeof payload === 'string') return /[\r\n]/.test(payload);
  return typeof filename === 'string' && filename !== '';
}

function isAbandon({ abandon, payload }: Message): boolean {
  return typeof (abandon ?? (payload as { abandon?: unknown } | undefined)?.abandon) === 'string';
}

async function abandon(load: Load, { message, send }: Input<Settings>): Promise<void> {
  const asked = (typeof message.abandon === 'string' ? message : message.payload) as {
    abandon: string;
    by?: unknown;
    reason?: unknown;
  };
  const by = textOr(asked.by, 'a message to the create node');
  const receipt = await load.abandon(asked.abandon, by, textOr(asked.reason, 'no reason given'));
  send([null, null, { ...carriedBy(message), payload: receipt }]);
}

/** What the dead letter needs to know, so that the records can be replayed once they are mended. */
function carriedByRejected(input: Input<Settings>, runId: string | null, { loadName }: Load): Message {
  const { payload, ...carried } = input.message;
  const { object, operation, externalIdField } = specOf(input);
  return { ...carried, job: { runId, loadName, object, operation, externalIdField } };
}
