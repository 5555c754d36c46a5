import type { ApiAnswer } from './call.ts';
import type { CollectionOperation } from './collection-request.ts';
import { type ApiError, errorsIn, hasCode } from './error-body.ts';
import { DoubtfulOutcome } from './outcome.ts';

/** What became of one record. */
export interface RecordAnswer {
  id: string | null;
  success: boolean;
  /** Null where the call does not say. */
  created: boolean | null;
  /** A delete that found nothing to delete: done all the same. */
  alreadyDeleted: boolean;
  errors: ApiError[];
  /** The org's clock when it answered. */
  answeredAt: Date | undefined;
}

/** A record that was not saved. */
export const REFUSED = { id: null, success: false, created: null, alreadyDeleted: false };

export function refusedHere(errorCode: string, message: string): RecordAnswer {
  return { ...REFUSED, errors: [{ errorCode, message, fields: [] }], answeredAt: undefined };
}

export function savedAnswer(
  what: string,
  answer: ApiAnswer,
  known: { id?: string; created: boolean | null },
): RecordAnswer {
  const { status, answeredAt } = answer;
  if (status === 300) {
    const several = { errorCode: 'DUPLICATE_EXTERNAL_ID', message: severalText(answer.body), fields: [] };
    return { ...REFUSED, errors: [several], answeredAt };
  }
  const body = (answer.body ?? {}) as {
    id?: unknown;
    success?: unknown;
    created?: unknown;
    errors?: unknown;
  };
  if (body.success === false) return { ...REFUSED, errors: errorsIn(body.errors), answeredAt };
  const id = typeof body.id === 'string' ? body.id : (known.id ?? null);
  if (id === null && status !== 204) {
    throw new DoubtfulOutcome(what, `HTTP ${status} without an id`, { status, answeredAt });
  }
  // 204 to an upsert is the update of API 45 and before (reference §8).
  const created = typeof body.created === 'boolean' ? body.created : status === 204 ? false : known.created;
  return { id, success: true, created, alreadyDeleted: false, errors: [], answeredAt };
}

function severalText(body: unknown): string {
  const ids = (Array.isArray(body) ? body : []).map((url) => String(url).split('/').at(-1));
  return `more than one record has this external id: ${ids.join(', ')}`;
}

export function deletedAnyway(answer: RecordAnswer, id: string): RecordAnswer {
  if (answer.success || !hasCode(answer.errors, 'ENTITY_IS_DELETED')) return answer;
  return { ...answer, id, success: true, alreadyDeleted: true, errors: [] };
}

export function collectionAnswer(
  item: unknown,
  operation: CollectionOperation,
  knownId: string | null,
  answeredAt: Date | undefined,
): RecordAnswer {
  const answer = (item ?? {}) as { id?: unknown; success?: unknown; created?: unknown; errors?: unknown };
  if (answer.success !== true) return { ...REFUSED, errors: errorsIn(answer.errors), answeredAt };
  const created = typeof answer.created === 'boolean' ? answer.created : null;
  return {
    id: typeof answer.id === 'string' ? answer.id : knownId,
    success: true,
    created: operation === 'upsert' ? created : operation === 'insert',
    alreadyDeleted: false,
    errors: [],
    answeredAt,
  };
}
