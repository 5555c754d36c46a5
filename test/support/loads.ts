import { randomUUID } from 'node:crypto';
import type { Org } from '../../sandbox/org/org.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { JobLedger } from '../../src/database/ledger/job-ledger.ts';
import { MemoryLedger } from '../../src/database/ledger/memory-ledger.ts';
import type { Job, JobSpec } from '../../src/job.ts';
import { SalesforceConnection } from '../../src/load/connection.ts';
import { Load } from '../../src/load/load.ts';
import type { LoadOptions } from '../../src/load/load-options.ts';
import { silentLogger } from '../../src/log.ts';
import type { Receipt } from '../../src/receipt.ts';
import { SalesforceSession, type SessionOptions } from '../../src/salesforce/session.ts';

export interface ConnectOptions {
  ledger?: JobLedger;
  session?: Partial<SessionOptions>;
  /** Of the session, too. */
  clock?: Clock;
}

/** A connection to the sandbox org, as an `sf-connection` node opens it. */
export function connectTo(
  org: Org,
  { ledger = new MemoryLedger(), session = {}, clock = systemClock }: ConnectOptions = {},
): SalesforceConnection {
  const { clientId, clientSecret } = org.credentials;
  return new SalesforceConnection({
    session: new SalesforceSession({
      credentials: { flow: 'client-credentials', loginUrl: org.url, clientId, clientSecret },
      apiVersion: '66.0',
      clock,
      ...session,
    }),
    ledger,
    clock,
    log: silentLogger,
    retentionDays: 30,
  });
}

export const INSERT_LOAD_TEST: JobSpec = {
  object: 'Load_Test__c',
  operation: 'insert',
  externalIdField: null,
  columnDelimiter: 'COMMA',
  lineEnding: 'LF',
  assignmentRuleId: null,
};

/** A load and what left it, with the part of the nodes behind it: `settleAll` polls and reads every job. */
export class LoadUnderTest {
  readonly load: Load;
  readonly connection: SalesforceConnection;
  readonly jobs: Job[] = [];
  readonly receipts: Receipt[] = [];

  constructor(connection: SalesforceConnection, options: Partial<LoadOptions> = {}) {
    this.connection = connection;
    this.load = new Load({
      connection,
      loadName: `load-${randomUUID()}`,
      mode: 'parallel',
      mapping: [],
      nulls: 'clear',
      maxRecordsPerJob: 0,
      maxBytesPerJob: 100_000_000,
      maxFiles: 3,
      outageMs: 5000,
      onJob: (job) => this.jobs.push(job),
      onReceipt: (receipt) => this.receipts.push(receipt),
      canSend: () => true,
      ...options,
    });
  }

  /** One whole pass: writes the records in batches and waits until they are in closed jobs. */
  async loadAll(
    records: Record<string, unknown>[],
    batchSize = 1000,
    spec: JobSpec = INSERT_LOAD_TEST,
  ): Promise<void> {
    const run = await this.load.beginRun({ openedAt: Date.now(), carried: { topic: 'test' } });
    try {
      for (let from = 0; from < records.length; from += batchSize) {
        await run.write(records.slice(from, from + batchSize), spec, undefined);
      }
      await run.finish();
    } catch (error) {
      await run.breakOff(error);
      throw error;
    }
  }

  /** What poll and results do, without their messages. */
  async settle(job: Job): Promise<Receipt> {
    const { connection } = this;
    const signal = new AbortController().signal;
    const release = await connection.carryOn(job.id, 'test');
    try {
      const options = { intervalMs: 20, maxIntervalMs: 50, timeoutMs: 0, stallTimeoutMs: 0, signal };
      const final = await connection.watcher.watch(job, options);
      const files = await connection.downloadResults(final, signal);
      for await (const _ of files.rows('failedResults', 1000, signal));
      const settlement = await connection.openSettlement(files, 1000);
      const receipt = await connection.settle(settlement, new Date().toISOString());
      await files.remove();
      return receipt;
    } finally {
      release?.();
    }
  }

  async settleAll(): Promise<void> {
    for (const job of this.jobs.splice(0)) await this.settle(job);
  }

  async close(): Promise<void> {
    await this.load.close();
    await this.connection.close();
  }
}

/** Records of an object without any unique field, so that a record loaded twice shows. */
export function loadTestRecords(count: number, prefix = 'k'): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, index) => ({
    Name: `Record ${index}`,
    Key__c: `${prefix}-${index}`,
    Value__c: index,
  }));
}
