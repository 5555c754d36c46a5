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
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { refuseRecords } from './shared/reset.ts';
import { type Input, onInput } from './shared/runner.ts';
import { isBrokenOff, stopsOnError } from './shared/sequence-registry.ts';
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
        const { succeeded, failed, broken } = await retry(input);
        meter.add(succeeded.length);
        status.done(() => meter.text());
        input.send(splitter.split(input.message, [succeeded, failed]));
        if (broken === undefined) return;
        keepOnly(broken.rest, input.message);
        throw broken.error;
      },
      reset: ({ message }) => {
        refuseRecords(message);
        splitter.clear();
      },
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
  /** What broke the batch in the middle, and the failures that are in neither list. */
  broken?: { error: unknown; rest: Failure[] };
}

/** Rejects when the node is being stopped; else what breaks the batch is told together with what was known by then. */
async function retry(input: Input<Settings>): Promise<Outcome> {
  const all: Outcome = { succeeded: [], failed: [] };
  const groups = groupByJob(readBatch<Failure>(input.message).rows);
  for (const [at, failures] of groups.entries()) {
    const { succeeded, failed, broken } = await retryGroup(failures, input, groups.length === 1);
    all.succeeded.push(...succeeded);
    all.failed.push(...failed);
    if (broken === undefined) continue;
    const rest = [...broken.rest, ...groups.slice(at + 1).flat()];
    return { ...all, broken: { error: broken.error, rest } };
  }
  return all;
}

async function retryGroup(
  failures: Failure[],
  { message, settings, signal }: Input<Settings>,
  isOnlyJob: boolean,
): Promise<Outcome> {
  const { connection } = settings;
  try {
    const job = await jobOfFailures(message, failures, connection, signal);
    if (!job) throw loadError('RECORD_INVALID', 'noJobOfFailures');
    const hold = await connection.holdFor(job.id, signal);
    const meter = connection.meters.of(job.id);
    // A job of one of our loads, read by a sender that stops: it is parked, and its results are sent again.
    const comesAgain = hold !== undefined && isOnlyJob && stopsOnError(message);
    // Its sender has stopped already: of a job that is read again, no more than one batch may be in doubt.
    if (comesAgain && isBrokenOff(message)) return { succeeded: [], failed: [] };
    const result = await settings.retry.retry(failures, job, { signal, hold, meter, comesAgain });
    settlements.find(job.id)?.noteRetried(result.succeeded.map(({ key }) => key));
    return result;
  } catch (error) {
    if (signal.aborted) throw error;
    return { succeeded: [], failed: [], broken: { error, rest: failures } };
  }
}

/** So that a Catch node gets what nobody has dealt with yet, and nothing that has left by an output. */
function keepOnly(rest: Failure[], message: Message): void {
  message.payload = rest;
  if (typeof message.parts === 'object' && message.parts !== null) {
    message.parts = { ...message.parts, len: rest.length };
  }
}
