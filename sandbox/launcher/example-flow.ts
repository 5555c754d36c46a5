import { readFile } from 'node:fs/promises';

export interface FlowNode {
  id: string;
  type: string;
  name?: string;
  wires?: string[][];
  [property: string]: unknown;
}

/** The example flow, and the nodes of it that the launcher presses and listens to. */
export interface ExampleFlow {
  nodes: FlowNode[];
  /** The inject node for a load by hand. */
  inject: string;
  /** The debug nodes that show the run's receipt, and what a Catch node caught. */
  receipt: string;
  errors: string;
  /** Nodes of this package that are on the canvas, in the order of the flow. */
  steps: { id: string; name: string }[];
}

/** Of the poll in the launcher's copy: a first look should not wait for it. */
export const POLL_SECONDS = 1;

const FILE = new URL('../../examples/flows.json', import.meta.url);
const OURS = /^(sf-|sync-|dead-letter)/;

export async function exampleFlow(): Promise<ExampleFlow> {
  const nodes: FlowNode[] = JSON.parse(await readFile(FILE, 'utf8'));
  const of = (type: string) => nodes.filter((node) => node.type === type);
  return {
    nodes: nodes.map((node) => (node.type === 'sf-bulk-poll' ? { ...node, interval: POLL_SECONDS } : node)),
    inject: idOf(
      of('inject').find(({ crontab }) => crontab === ''),
      'inject node without a schedule',
    ),
    receipt: wired(of('sf-bulk-create')[0], 2),
    errors: wired(of('catch')[0], 0),
    steps: nodes
      .filter(({ type, wires }) => OURS.test(type) && wires !== undefined)
      .map(({ id, type, name }) => ({ id, name: name || type })),
  };
}

function wired(node: FlowNode | undefined, output: number): string {
  const target = node?.wires?.[output]?.[0];
  if (target === undefined)
    throw new Error(`examples/flows.json: output ${output + 1} of ${node?.type} is not wired.`);
  return target;
}

function idOf(node: FlowNode | undefined, what: string): string {
  if (node === undefined) throw new Error(`examples/flows.json has no ${what}.`);
  return node.id;
}
