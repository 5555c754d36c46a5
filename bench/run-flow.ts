import { type ExampleFlow, exampleFlow } from '../sandbox/launcher/example-flow.ts';
import { performLoad } from '../sandbox/launcher/load.ts';
import { NodeRedProcess } from '../sandbox/launcher/node-red-process.ts';
import type { Run } from './measurement.ts';
import { ourFlow } from './our-flow.ts';
import type { PathName } from './paths.ts';
import type { Surroundings } from './surroundings.ts';

/** One load in a Node-RED of its own, from the press of the inject button to the receipt of the run. */
export async function runFlow(path: PathName, { env, rows }: Surroundings, pollMs: number): Promise<Run> {
  const flow = await flowOf(path, pollMs);
  const nodeRed = await NodeRedProcess.start({
    port: 0,
    env,
    ...(path === 'ours-default' ? { limits: [] } : {}),
  });
  try {
    await nodeRed.deploy(flow.nodes);
    const idle = await nodeRed.peakMemory();
    const began = Date.now();
    const { receipt } = await performLoad(nodeRed, flow);
    const ended = Date.now();
    const { received, uploaded, succeeded, failed, unaccounted } = receipt;
    if (received !== rows || uploaded !== rows || unaccounted !== 0)
      throw new Error(`The receipt does not add up: ${JSON.stringify(receipt)}`);
    const peak = (await nodeRed.peakMemory()) ?? Number.NaN;
    return { began, ended, peak, succeeded, failed, ...(idle === undefined ? {} : { idle }) };
  } finally {
    await nodeRed.stop();
  }
}

async function flowOf(path: PathName, pollMs: number): Promise<ExampleFlow> {
  if (path !== 'example')
    return ourFlow({ ledger: path !== 'ours-memory', lane: path === 'ours-csv' ? 'csv' : 'records', pollMs });
  const flow = await exampleFlow();
  const faster = (node: ExampleFlow['nodes'][number]) =>
    node.type === 'sf-bulk-poll' ? { ...node, interval: pollMs / 1000 } : node;
  return { ...flow, nodes: flow.nodes.map(faster) };
}
