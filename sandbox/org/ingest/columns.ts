import type { Operation } from '../data/save.ts';
import type { OrgModel } from '../model/model.ts';
import type { Field, ObjectModel } from '../model/types.ts';

/** What a column of an upload writes to. */
export type Column =
  | { kind: 'field'; field: Field }
  | { kind: 'id' }
  | { kind: 'parent'; field: Field; parent: ObjectModel; key: Field };

/** A header that the org does not take: the message becomes the job's errorMessage. */
export class HeaderFault extends Error {}

const notFound = (name: string): HeaderFault =>
  new HeaderFault(`InvalidBatch : Field name not found : ${name}`);

/** Longest header line in characters (reference §3). */
const LONGEST_HEADER = 32_000;

/** Binds the names of a header to the object's fields, or throws a HeaderFault that names the first bad one. */
export function bindColumns(
  model: OrgModel,
  object: ObjectModel,
  operation: Operation,
  names: readonly string[],
  externalIdFieldName: string | undefined,
): Column[] {
  if (names.join(',').length > LONGEST_HEADER) {
    throw new HeaderFault('InvalidBatch : Header row is longer than 32000 characters');
  }
  const columns = names.map((name) => bindColumn(model, object, name));
  const twice = names.find((name, i) => names.findIndex((other) => sameName(other, name)) !== i);
  if (twice !== undefined) {
    throw new HeaderFault(`InvalidBatch : Duplicate field name : ${twice}`);
  }
  if (operation === 'upsert' && !names.some((name) => sameName(name, externalIdFieldName ?? ''))) {
    throw notFound(externalIdFieldName ?? 'Id');
  }
  checkDelete(operation, names);
  return columns;
}

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Delete and hardDelete take the column Id and nothing else (reference §4). */
function checkDelete(operation: Operation, names: readonly string[]): void {
  if (operation !== 'delete' && operation !== 'hardDelete') {
    return;
  }
  const other = names.find((name) => !sameName(name, 'Id'));
  if (other !== undefined) {
    throw notFound(other);
  }
}

function bindColumn(model: OrgModel, object: ObjectModel, name: string): Column {
  if (name.includes('.')) {
    return bindParent(model, object, name);
  }
  const field = model.findField(object, name);
  if (!field || field.type === 'compound') {
    throw notFound(name);
  }
  return field.name === 'Id' ? { kind: 'id' } : { kind: 'field', field };
}

/** `Rel.Field`, or `Type:Rel.Field` where the look-up can lead to several objects. */
function bindParent(model: OrgModel, object: ObjectModel, name: string): Column {
  const [path = '', keyName = '', ...more] = name.split('.');
  const [typeName, relationship] = path.includes(':') ? path.split(':') : [undefined, path];
  const field = model.findRelationship(object, relationship ?? '');
  if (!field) {
    throw new HeaderFault(`InvalidBatch : Unable to find relationship: ${relationship}`);
  }
  const targets = field.referenceTo ?? [];
  if (typeName !== undefined && targets.length === 1) {
    const message = `type is not needed for non polymorphic foreign key references: ${relationship}`;
    throw new HeaderFault(`InvalidBatch : ${message}`);
  }
  const target = typeName === undefined && targets.length === 1 ? targets[0] : typeName;
  const parent = targets.includes(model.find(target ?? '')?.name ?? '')
    ? model.find(target ?? '')
    : undefined;
  const key = parent && model.findField(parent, keyName);
  if (!parent || !key || more.length > 0 || !(key.externalId || key.idLookup)) {
    throw notFound(name);
  }
  return { kind: 'parent', field, parent, key };
}
