import { checkedApiName } from './api-name.ts';
import type { ApiRequest, HttpMethod } from './call.ts';

export type CollectionOperation = 'insert' | 'update' | 'upsert' | 'delete';

export interface CollectionRecord {
  /** For update and delete. */
  id?: string | undefined;
  /** For upsert it holds the external id as well. */
  fields: Record<string, unknown>;
}

/** The request of a Collections call (reference bulk-api-2.md §8). Each record stands or falls alone: `allOrNone` is false. */
export function collectionRequest(
  operation: CollectionOperation,
  object: string,
  records: readonly CollectionRecord[],
  externalIdField: string | null | undefined,
): Pick<ApiRequest, 'method' | 'path' | 'json'> {
  if (operation === 'delete') {
    const ids = records.map(({ id }) => encodeURIComponent(id ?? '')).join(',');
    return { method: 'DELETE', path: `/composite/sobjects?ids=${ids}&allOrNone=false` };
  }
  const methods: Record<Exclude<CollectionOperation, 'delete'>, HttpMethod> = {
    insert: 'POST',
    update: 'PATCH',
    upsert: 'PATCH',
  };
  const route = operation === 'upsert' ? `/${object}/${checkedApiName('field', externalIdField ?? '')}` : '';
  const bodies = records.map(({ id, fields }) => ({
    attributes: { type: object },
    ...(operation === 'update' ? { id: id ?? '' } : {}),
    ...fields,
  }));
  return {
    method: methods[operation],
    path: `/composite/sobjects${route}`,
    json: { allOrNone: false, records: bodies },
  };
}
