/** Sends failed records again over REST, those that can pass, and tells which did. */
import { systemClock } from '../src/clock.ts';
import type { Failure, RetriedRecord } from '../src/failure.ts';
import { createClassifier } from '../src/failures/classify.ts';
import { SingleRetry } from '../src/failures/retry.ts';
import { settlements } from '../src/load/connection.ts';
import { readBatch } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SfConnectionNode } from './shared/connections.ts';
import { groupByJob, jobOfFailures } from './shared/failure-batches.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Node, NodeConfig, Red } from './shared/red.ts';
import { type Input, onInput } from './shared/runner.ts';
import { SequenceSplitter } from './shared/sequence-splitter.ts';
import { StatusLine } from './shared/status.ts';
import { loadError, useCatalogue } from './shared/texts.ts';

type Settings = ReturnType<typeof readRetry>;

export default function (RED: Red): void {
  useCatalogue(RED);
  function SfSingleRetry(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const meter = new RateMeter(systemClock, 'retried');
    const splitter = new SequenceSplitter(2, (messages) => this.send(messages));
    onInput(this, {
      settings: readConfig(RED, this, config, readRetry),
      status,
      // One batch at a time: `concurrency` and the care for shared parents hold for the whole node.
      serial: true,
      handle: async (input) => {
        status.working(() => meter.text());
        const { succeeded, failed } = await retry(input);
        meter.add(succeeded.length);
        status.done(() => meter.text());
        input.send(splitter.split(input.message, [succeeded, failed]));
      },
      reset: () => splitter.clear(),
      close: () => splitter.clear(),
    });
  }

  RED.nodes.registerType('sf-single-retry', SfSingleRetry);
}

/** The html's defaults: connection, mode, maxAttempts, backoff (seconds), concurrency. */
function readRetry(properties: ConfigReader) {
  const { connection } = properties.node<SfConnectionNode>('connection', 'sf-connection');
  const retry = new SingleRetry({
    mode: properties.oneOf('mode', ['auto', 'individual', 'collections'], 'auto'),
    maxAttempts: properties.integer('maxAttempts', { min: 1, max: 20, default: 3 }),
    backoffMs: properties.number('backoff', { min: 0, max: 600, default: 1 }) * 1000,
    concurrency: properties.integer('concurrency', { min: 1, max: 25, default: 1 }),
    ledger: connection.ledger,
    session: connection.session,
    records: connection.records,
    describe: connection.describe,
    judge: createClassifier({ ruleSet: 'complete' }).judge,
  });
  return { connection, retry };
}

interface Outcome {
  succeeded: RetriedRecord[];
  failed: Failure[];
}

async function retry({ message, settings, signal }: Input<Settings>): Promise<Outcome> {
  const { connection } = settings;
  const all: Outcome = { succeeded: [], failed: [] };
  for (const failures of groupByJob(readBatch<Failure>(message).rows)) {
    const job = await jobOfFailures(message, failures, connection, signal);
    if (!job) throw loadError('RECORD_INVALID', 'noJobOfFailures');
    const hold = await connection.holdFor(job.id, signal);
    const meter = connection.meters.of(job.id);
    const { succeeded, failed } = await settings.retry.retry(failures, job, { signal, hold, meter });
    settlements.find(job.id)?.noteRetried(succeeded.map(({ key }) => key));
    all.succeeded.push(...succeeded);
    all.failed.push(...failed);
  }
  return all;
}
