import { setTimeout as wait } from 'node:timers/promises';
import type { DebugOutput } from './editor-comms.ts';
import type { ExampleFlow } from './example-flow.ts';
import type { NodeRedProcess } from './node-red-process.ts';

/** The receipt of a run, as far as the launcher reads it. */
export interface RunReceipt {
  received: number;
  rejected: number;
  uploaded: number;
  succeeded: number;
  failed: number;
  unprocessed: number;
  unaccounted: number;
  retried: number;
  deadLettered: number;
  byErrorCode: Record<string, number>;
  apiCalls: number;
  complete: boolean;
}

export interface FinishedLoad {
  receipt: RunReceipt;
  seconds: number;
}

/** An error reached the flow's Catch node. */
export class LoadStopped extends Error {}

/** Without any sign of life from the flow for so long, nobody will come any more. */
const SILENCE_MS = 15 * 60_000;

/** Presses the button and waits for the receipt of the run. */
export async function performLoad(nodeRed: NodeRedProcess, flow: ExampleFlow): Promise<FinishedLoad> {
  const listening = new AbortController();
  const began = performance.now();
  try {
    const outcome = Promise.race([
      receiptOrError(nodeRed, flow, listening.signal),
      silence(nodeRed, listening.signal),
      nodeRed.failure(),
    ]);
    outcome.catch(() => {});
    await nodeRed.inject(flow.inject);
    return { receipt: await outcome, seconds: (performance.now() - began) / 1000 };
  } finally {
    listening.abort();
  }
}

function receiptOrError(
  nodeRed: NodeRedProcess,
  flow: ExampleFlow,
  signal: AbortSignal,
): Promise<RunReceipt> {
  return new Promise((resolve, reject) => {
    const onDebug = ({ nodeId, value }: DebugOutput) => {
      if (nodeId === flow.receipt) resolve(value as RunReceipt);
      if (nodeId === flow.errors) reject(new LoadStopped(errorText(value)));
    };
    nodeRed.comms.on('debug', onDebug);
    signal.addEventListener('abort', () => nodeRed.comms.off('debug', onDebug), { once: true });
  });
}

function errorText(value: unknown): string {
  const { code, message, source } = value as {
    code?: string;
    message?: string;
    source?: { name?: string; type?: string };
  };
  const where = source?.name || source?.type || 'a node';
  return `${code ?? 'error'} at "${where}": ${message ?? 'no message'}`;
}

async function silence(nodeRed: NodeRedProcess, signal: AbortSignal): Promise<never> {
  let heard = Date.now();
  const hear = () => {
    heard = Date.now();
  };
  nodeRed.comms.on('status', hear).on('debug', hear);
  try {
    for (let left = SILENCE_MS; left > 0; left = heard + SILENCE_MS - Date.now()) {
      await wait(left, undefined, { signal, ref: false });
    }
    throw new LoadStopped(`The flow gave no sign of life for ${SILENCE_MS / 60_000} minutes.`);
  } finally {
    nodeRed.comms.off('status', hear).off('debug', hear);
  }
}
