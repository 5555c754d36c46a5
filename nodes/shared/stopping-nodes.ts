import type { Node } from './red.ts';

/** Node-RED's `flows:stopping` event: what kind of deploy, and what it changes. */
export interface Stopping {
  type: 'full' | 'flows' | 'nodes' | 'load';
  diff?: Partial<Record<'added' | 'changed' | 'removed' | 'linked' | 'rewired' | 'flowChanged', string[]>> & {
    globalConfigChanged?: boolean;
  };
}

/**
 * Which nodes stop, by the rules of `stop` in `@node-red/runtime/lib/flows/index.js`: all in a full deploy; what changed or
 * went, with "flows" also what is wired to it; and everything on a tab that comes, goes or has other variables (that one of
 * its nodes changed is noted at the tab too, and stops nothing else). What is in a subflow stops with its instance.
 */
export function stoppingNodes({ type, diff = {} }: Stopping): (node: Node) => boolean {
  const partial = type === 'nodes' || type === 'flows';
  if (!partial || diff.globalConfigChanged) return () => true;
  const { added = [], changed = [], removed = [], linked = [], rewired = [], flowChanged = [] } = diff;
  const tabs = new Set([...added, ...removed, ...flowChanged]);
  const nodes = new Set([...changed, ...removed, ...(type === 'flows' ? [...linked, ...rewired] : [])]);
  return (node) => {
    const [tab = '', ...inside] = (node._path ?? `${node.z}/${node.id}`).split('/');
    return tabs.has(tab) || inside.some((id) => nodes.has(id));
  };
}
