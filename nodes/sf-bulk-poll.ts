/** Waits until an ingest job has ended. */
import { systemClock } from '../src/clock.ts';
import { isLoadError, type LoadError, reasonOf } from '../src/errors.ts';
import type { Job } from '../src/job.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import type { SfConnectionNode } from './shared/connections.ts';
import { jobError, jobOfMessage } from './shared/job-message.ts';
import { JobsProgress } from './shared/jobs-progress.ts';
import type { Message, Node, NodeConfig, Red } from './shared/red.ts';
import { type Input, onInput } from './shared/runner.ts';
import { StatusLine } from './shared/status.ts';
import { text, useCatalogue } from './shared/texts.ts';
import { isWired } from './shared/wiring.ts';

/** The html's defaults: connection, interval, maxInterval, timeout, stallTimeout (all in seconds), onTimeout. */
type Settings = ReturnType<typeof readPoll>;

export default function (RED: Red): void {
  useCatalogue(RED);
  function SfBulkPoll(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const progress = new JobsProgress(systemClock);
    onInput(this, {
      settings: readConfig(RED, this, config, (properties) => readPoll(properties, isWired(config, 1))),
      status,
      handle: (input) => poll(this.id, input, progress, status),
    });
  }

  RED.nodes.registerType('sf-bulk-poll', SfBulkPoll);
}

function readPoll(properties: ConfigReader, failuresWired: boolean) {
  return {
    connection: properties.node<SfConnectionNode>('connection', 'sf-connection').connection,
    intervalMs: properties.number('interval', { min: 0.1, default: 10 }) * 1000,
    maxIntervalMs: properties.number('maxInterval', { min: 0.1, default: 60 }) * 1000,
    timeoutMs: properties.number('timeout', { min: 0, default: 0 }) * 1000,
    stallTimeoutMs: properties.number('stallTimeout', { min: 0, default: 600 }) * 1000,
    onTimeout: properties.oneOf('onTimeout', ['error', 'abort'], 'error'),
    failuresWired,
  };
}

async function poll(
  nodeId: string,
  input: Input<Settings>,
  progress: JobsProgress,
  status: StatusLine,
): Promise<void> {
  const { message, signal, settings } = input;
  const { connection } = settings;
  const job = await jobOfMessage(message, connection, signal);
  const release = await connection.carryOn(job.id, `poll ${nodeId}`);
  if (!release) return;
  try {
    progress.see(job);
    status.working(progress.text);
    const onProgress = (seen: Job) => {
      progress.see(seen);
      const { text: progressed } = progress;
      status.working(
        connection.session.overBudget ? text('status.overBudget', { progress: progressed }) : progressed,
      );
    };
    const end = await untilFinal(job, input, onProgress);
    release();
    send(input, end);
    const { state, numberRecordsProcessed: count } = end.job;
    status.done(text('status.jobEnded', { state, count }));
  } catch (error) {
    // Before the load hears of it, which may send the job again at once.
    release();
    await connection.park(job.id, reasonOf(error), signal.aborted);
    throw error;
  } finally {
    release();
    progress.forget(job.id);
    if (progress.size > 0) status.working(progress.text);
  }
}

type End = { job: Job; error: LoadError | undefined };

/** With `onTimeout: abort` a job that takes too long ends as Aborted, and the error says why. */
async function untilFinal(
  job: Job,
  { settings, signal }: Input<Settings>,
  onProgress: (job: Job) => void,
): Promise<End> {
  const { connection } = settings;
  try {
    const final = await connection.watcher.watch(job, { ...settings, onProgress, signal });
    return { job: final, error: jobError(final) };
  } catch (error) {
    const late = isLoadError(error, 'BULK_JOB_TIMEOUT') || isLoadError(error, 'BULK_JOB_STALLED');
    if (!late || settings.onTimeout === 'error') throw error;
    const ended = await connection.abort(job, signal);
    // It may have come to its end a moment before.
    return { job: ended, error: ended.state === 'Aborted' ? error : jobError(ended) };
  }
}

/** Output 1: complete. Output 2: failed or aborted; where nobody listens there, a Catch node hears of it. */
function send({ message, send: sendOut, settings }: Input<Settings>, { job, error }: End): void {
  const out: Message = { ...message, payload: job, job };
  if (!error) {
    sendOut([out, null]);
    return;
  }
  if (!settings.failuresWired) throw error;
  sendOut([null, { ...out, error: { code: error.code, message: error.message } }]);
}
