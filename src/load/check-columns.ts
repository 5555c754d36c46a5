import { LoadError } from '../errors.ts';
import type { JobSpec, Operation } from '../job.ts';
import type { FieldDescription, ObjectDescription } from '../salesforce/describe.ts';

/** `Account.External_Id__c`, `Lead:Who.Email`: a parent by a field of its own (reference §4). */
const RELATIONSHIP_COLUMN = /^(?:\w+:)?(\w+)\.\w+$/;

/** What a column must allow, by operation. Whether an upsert creates or updates is Salesforce's to see. */
const WRITABLE: Record<Operation, (field: FieldDescription) => boolean> = {
  insert: ({ createable }) => createable,
  update: ({ updateable }) => updateable,
  upsert: ({ createable, updateable }) => createable || updateable,
  delete: () => true,
  hardDelete: () => true,
};

/**
 * One unknown column fails a whole job after its upload, and Salesforce names only the first (reference §4). So all of
 * them are named before anything is made. Column names match whatever their case, as in a job.
 *
 * @throws LoadError CONFIG_INVALID
 */
export function checkColumns(object: ObjectDescription, spec: JobSpec, columns: readonly string[]): void {
  const fields = new Map(object.fields.map((field) => [field.name.toLowerCase(), field]));
  const relationships = new Set(
    object.fields.flatMap(({ relationshipName }) => relationshipName?.toLowerCase() ?? []),
  );
  const unknown: string[] = [];
  const unwritable: string[] = [];
  for (const column of columns) {
    const relationship = RELATIONSHIP_COLUMN.exec(column)?.[1];
    const field = fields.get(column.toLowerCase());
    if (relationship !== undefined ? !relationships.has(relationship.toLowerCase()) : !field)
      unknown.push(column);
    else if (field && !isWritable(field, spec)) unwritable.push(column);
  }
  if (unknown.length + unwritable.length === 0) return;
  throw new LoadError('CONFIG_INVALID', complaint(object.name, spec, unknown, unwritable));
}

/** `Id` says which record, and so does the external id of an upsert; neither has to be writable. */
function isWritable(field: FieldDescription, { operation, externalIdField }: JobSpec): boolean {
  const tells = field.name === 'Id' || (operation === 'upsert' && field.name === externalIdField);
  return tells || WRITABLE[operation](field);
}

function complaint(object: string, { operation }: JobSpec, unknown: string[], unwritable: string[]): string {
  const parts: string[] = [];
  if (unknown.length > 0)
    parts.push(`${object} has no field ${unknown.join(', ')}, or the user may not see it`);
  if (unwritable.length > 0)
    parts.push(`${unwritable.join(', ')} of ${object} cannot be written by ${operation}`);
  return `${parts.join('; ')}. Nothing was loaded: mend the mapping, or leave the columns out.`;
}

/** Lengths of text fields, so that only what is longer than its field is told apart from what is too long for a job. */
export function fieldLengths({ fields }: ObjectDescription): Map<string, number> {
  return new Map(fields.filter(({ length }) => length > 0).map(({ name, length }) => [name, length]));
}
