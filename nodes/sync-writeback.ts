/** Marks source rows with what became of them, so that the next run does not load them again. */
import { systemClock } from '../src/clock.ts';
import { retryWhileUnavailable } from '../src/database/retry-while-unavailable.ts';
import { Writeback } from '../src/database/writeback.ts';
import type { Failure } from '../src/failure.ts';
import { settlements } from '../src/load/connection.ts';
import type { SourceRecord } from '../src/record.ts';
import { readBatch } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SyncDatabaseNode } from './shared/connections.ts';
import { jobIdOfMessage } from './shared/job-message.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { onInput } from './shared/runner.ts';
import { sequenceMark } from './shared/sequence-mark.ts';
import { StatusLine } from './shared/status.ts';
import { text, useCatalogue } from './shared/texts.ts';

export default function (RED: Red): void {
  useCatalogue(RED);
  function SyncWriteback(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const meter = new RateMeter(systemClock);
    onInput(this, {
      settings: readConfig(RED, this, config, readWriteback),
      status,
      handle: async ({ message, send, signal, settings }) => {
        const { rows } = readBatch(message);
        const write = () => settings.write(rows, signal);
        const { updated, missing, missingKeys, withoutKey } = await retryWhileUnavailable(write, {
          clock: systemClock,
          signal,
          onWait: () => status.waiting(text('status.databaseAway')),
        });
        if (missing > 0) {
          const keys = named(missingKeys, missing);
          this.warn(text('warning.keysMissing', { count: missing, rows: rows.length, keys }));
        }
        if (withoutKey > 0) this.warn(text('warning.withoutKey', { count: withoutKey, rows: rows.length }));
        account(message, rows);
        meter.add(updated);
        status.done(() => meter.text());
        send({ ...message, updated });
      },
    });
  }

  RED.nodes.registerType('sync-writeback', SyncWriteback);
}

/** The html's defaults: database, table, keyColumn, keyField, set [{column, value, valueType}]. */
function readWriteback(properties: ConfigReader): Writeback {
  const { database } = properties.node<SyncDatabaseNode>('database', 'sync-database');
  return new Writeback(database, {
    table: properties.text('table'),
    keyColumn: properties.text('keyColumn'),
    keyField: properties.text('keyField'),
    set: properties.list('set', (row) => ({
      column: row.text('column'),
      value: row.optionalText('value'),
      valueType: row.oneOf('valueType', ['str', 'field'], 'str'),
    })),
  });
}

function named(keys: readonly string[], all: number): string {
  return keys.length < all ? `${keys.join(', ')}, …` : keys.join(', ');
}

/** Only successes count (design §7.7): a failure has a key of its own and is accounted for by its retry or dead letter. */
function account(message: Message, rows: readonly (SourceRecord | Failure)[]): void {
  const jobId = jobIdOfMessage(message);
  const settlement = jobId === undefined ? undefined : settlements.find(jobId);
  const successes = rows.filter((row) => 'sf__Created' in row).length;
  if (settlement && successes > 0) settlement.noteWrittenBack(sequenceMark(message)?.index, successes);
}
