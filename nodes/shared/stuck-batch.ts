import { type BatchInFlight, type Delivery, isGathering } from './batch-in-flight.ts';
import { isAccountable } from './own-nodes.ts';
import type { Node } from './red.ts';

export interface Stuck {
  batch: BatchInFlight;
  node: Node;
  movedAt: number;
}

/**
 * The batch that may be stuck the longest, and the node that has it. Our own nodes always answer, so a batch that only they
 * have is not stuck, however long it takes. A node that waits for the rest of a group is waited for as long as the rest may
 * come; after that the last move of the whole sequence counts, as its group is the sequence.
 */
export function firstStuck(
  batches: Iterable<BatchInFlight>,
  sequenceMovedAt: number,
  waitsForGroups: boolean,
): Stuck | undefined {
  let first: Stuck | undefined;
  for (const batch of batches) {
    const delivery = suspect(batch, waitsForGroups);
    if (delivery === undefined) continue;
    const movedAt = isGathering(delivery.node) ? sequenceMovedAt : batch.movedAt;
    if (first === undefined || movedAt < first.movedAt) first = { batch, node: delivery.node, movedAt };
  }
  return first;
}

function suspect({ deliveries }: BatchInFlight, waitsForGroups: boolean): Delivery | undefined {
  const open = [...deliveries].filter(({ node }) => !isAccountable(node));
  return open.find(({ node }) => !isGathering(node)) ?? (waitsForGroups ? open[0] : undefined);
}
