import { isRecord } from '../../../src/record.ts';
import type { Red } from '../red.ts';
import { AdminError, registerEndpoint } from './endpoint.ts';

const MOST_COLUMNS = 1_000;
/** Enough to meet keys that only some records have. */
const LOOKED_AT = 50;

/** Only names are kept: the content of a record is nobody's business here. */
const seen = new Map<string, string[]>();

/** Remembers the columns of the batch that a node got last, for the mapping in its form. Costs one look at the first rows. */
export function noteColumns(nodeId: string, records: readonly unknown[]): void {
  const names = new Set<string>();
  for (const record of records.slice(0, LOOKED_AT)) {
    if (!isRecord(record)) continue;
    for (const name of Object.keys(record)) if (names.size < MOST_COLUMNS) names.add(name);
  }
  if (names.size > 0) seen.set(nodeId, [...names]);
}

export function forgetColumns(nodeId: string): void {
  seen.delete(nodeId);
}

/** Once, from the module of `sf-bulk-create`. */
export function registerColumnsAdmin(RED: Red): void {
  registerEndpoint(RED, {
    method: 'get',
    path: '/node/:id/columns',
    permission: 'read',
    bounds: { calls: 120, perMs: 60_000, atOnce: 4 },
    answer: async ({ id }) => {
      if (!RED.nodes.getNode(id))
        throw new AdminError('NOT_DEPLOYED', 404, 'Deploy first: this node does not run yet.');
      return seen.get(id) ?? [];
    },
  });
}
