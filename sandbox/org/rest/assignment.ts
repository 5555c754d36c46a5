import type { ObjectModel } from '../model/types.ts';

/**
 * The owner that an assignment rule gives. The header is a rule's id, TRUE (the active rule) or FALSE; without it a REST
 * call behaves as with TRUE, whereas a Bulk job has no rule unless it names one.
 */
export function assignedOwner(
  object: ObjectModel,
  header: string | string[] | undefined,
): string | undefined {
  const wanted = String(header ?? 'TRUE');
  if (wanted.toUpperCase() === 'FALSE') {
    return undefined;
  }
  const rules = object.assignmentRules ?? [];
  const rule =
    wanted.toUpperCase() === 'TRUE'
      ? rules.find((each) => each.active)
      : rules.find((each) => each.id === wanted || each.id.slice(0, 15) === wanted);
  return rule?.ownerId;
}
