import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Org, type OrgOptions, startOrg } from '../../../sandbox/org/org.ts';
import { readRows } from '../../../src/csv/result-reader.ts';
import { MemoryLedger } from '../../../src/database/ledger/memory-ledger.ts';
import type { FailedRow, Failure } from '../../../src/failure.ts';
import { type Classifier, createClassifier, type RuleSet } from '../../../src/failures/classify.ts';
import { type RetryJob, type RetryOptions, SingleRetry } from '../../../src/failures/retry.ts';
import type { Job } from '../../../src/job.ts';
import { DescribeApi } from '../../../src/salesforce/describe.ts';
import { IngestApi } from '../../../src/salesforce/ingest.ts';
import { RecordsApi } from '../../../src/salesforce/records.ts';
import { SalesforceSession } from '../../../src/salesforce/session.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';

export type LoadedJob = RetryJob & Pick<Job, 'columns'>;

/** An org, a session with it, a ledger: all on one clock that the test drives. */
export class World {
  readonly clock: FakeClock;
  readonly org: Org;
  readonly session: SalesforceSession;
  readonly records: RecordsApi;
  readonly describe: DescribeApi;
  ledger: MemoryLedger;
  readonly classifier: Classifier;
  readonly #directory: string;

  constructor(parts: { clock: FakeClock; org: Org; directory: string; ruleSet: RuleSet; budget: number }) {
    this.clock = parts.clock;
    this.org = parts.org;
    this.#directory = parts.directory;
    this.session = new SalesforceSession({
      credentials: {
        flow: 'client-credentials',
        loginUrl: parts.org.url,
        clientId: parts.org.credentials.clientId,
        clientSecret: parts.org.credentials.clientSecret,
      },
      apiVersion: '66.0',
      clock: parts.clock,
      random: () => 0.5,
      apiBudgetPercent: parts.budget,
    });
    this.records = new RecordsApi(this.session);
    this.describe = new DescribeApi(this.session, { lifeMs: Number.POSITIVE_INFINITY });
    this.ledger = new MemoryLedger(parts.clock);
    this.classifier = createClassifier({ ruleSet: parts.ruleSet });
  }

  retry(options: Partial<RetryOptions> = {}): SingleRetry {
    return new SingleRetry({
      mode: 'auto',
      maxAttempts: 3,
      backoffMs: 1_000,
      concurrency: 1,
      ledger: this.ledger,
      session: this.session,
      records: this.records,
      describe: this.describe,
      judge: this.classifier.judge,
      clock: this.clock,
      random: () => 0.5,
      ...options,
    });
  }

  /** As new: an empty org, and a ledger that knows nothing. A new world takes a new key pair, which is slow. */
  async reset(): Promise<void> {
    await this.org.reset();
    this.ledger = new MemoryLedger(this.clock);
  }

  /** Loads a CSV by a Bulk job to its end, and classifies what failed. */
  async load(job: Omit<RetryJob, 'id'>, csv: string): Promise<{ job: LoadedJob; failures: Failure[] }> {
    const ingest = new IngestApi(this.session);
    const made = await ingest.create({
      object: job.object,
      operation: job.operation,
      externalIdField: job.externalIdField,
      columnDelimiter: 'COMMA',
      lineEnding: 'LF',
      assignmentRuleId: job.assignmentRuleId ?? null,
    });
    const path = join(this.#directory, `${made.id}.csv`);
    await writeFile(path, csv);
    await ingest.upload(made.id, path);
    await ingest.close(made.id);
    await until(
      async () => ['JobComplete', 'Failed'].includes((await ingest.info(made.id)).state),
      'the job is done',
    );
    const info = await ingest.info(made.id);
    if (info.state !== 'JobComplete') throw new Error(`job ${info.state}: ${info.errorMessage}`);
    await ingest.downloadResults(made.id, 'failedResults', path, { onChunk: () => {} });
    return {
      job: { ...job, id: made.id, columns: columnsOf(csv) },
      failures: await this.#classify(path, made.id),
    };
  }

  async #classify(path: string, jobId: string): Promise<Failure[]> {
    const failures: Failure[] = [];
    for await (const rows of readRows(path, {
      columnDelimiter: 'COMMA',
      batchSize: 1000,
      failedRowsOf: jobId,
    })) {
      for (const row of rows)
        failures.push(this.classifier.classify(row as FailedRow, '2026-01-01T02:00:00.000Z'));
    }
    return failures;
  }

  /** The API calls that the org has seen for records, by method and shape of the path. */
  recordCalls(): string[] {
    return this.org.audit
      .requests(/\/(?:sobjects|composite|query)\b/)
      .filter(({ path }) => !path.includes('/describe'))
      .map(({ method, path }) => `${method} ${path.replace(/^.*\/v66\.0/, '').replace(/\?.*$/, '')}`);
  }

  async close(): Promise<void> {
    await this.session.close();
    await this.org.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

const columnsOf = (csv: string) => (csv.split('\n', 1)[0] ?? '').split(',');

export async function startWorld(
  options: Omit<OrgOptions, 'now'> & { ruleSet?: RuleSet; budget?: number } = {},
): Promise<World> {
  const { ruleSet = 'complete', budget = 100, ...orgOptions } = options;
  const clock = new FakeClock();
  const org = await startOrg({ ...orgOptions, now: () => clock.now() });
  const directory = await mkdtemp(join(tmpdir(), 'failures-test-'));
  const world = new World({ clock, org, directory, ruleSet, budget });
  // Asked once for a connection, and kept: so that the calls that tests count are those of records.
  await Promise.all(['Contact', 'Load_Test__c'].map((object) => world.describe.describe(object)));
  return world;
}

/** A failure as sf-failure-classify makes it, for tests that need no job behind it. */
export function failureOf(
  classifier: Classifier,
  key: string,
  originalData: Record<string, string>,
  error = 'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--',
  sfId = '',
): Failure {
  const row = { sf__Id: sfId, sf__Error: error, sf__Key: key, ...originalData };
  return classifier.classify(row, '2026-01-01T02:00:00.000Z');
}
