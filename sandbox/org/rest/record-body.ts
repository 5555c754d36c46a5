import { type RowFault, rowFault } from '../data/faults.ts';
import type { Draft } from '../data/save.ts';
import type { Store } from '../data/store.ts';
import type { Value } from '../data/table.ts';
import { parseJsonValue } from '../data/values.ts';
import { notWritable } from '../ingest/drafts.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { Field, ObjectModel } from '../model/types.ts';

/** A value of the wrong type: over REST the JSON itself is refused, not the record. */
export class BadValue extends Error {}

/** The fields of a JSON record as a draft. Names that begin with `attributes` or are the id are the caller's affair. */
export function draftOf(
  store: Store,
  object: ObjectModel,
  body: JsonObject,
  skipped: readonly string[],
): Draft {
  const fields: Field[] = [];
  const values: Value[] = [];
  const faults: RowFault[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (skipped.some((skip) => skip.toLowerCase() === name.toLowerCase())) {
      continue;
    }
    const written = writtenField(store, object, name, value);
    if ('fault' in written) {
      faults.push(written.fault);
    } else {
      fields.push(written.field);
      values.push(written.value);
    }
  }
  return { fields, values, faults };
}

type Written = { field: Field; value: Value } | { fault: RowFault };

function writtenField(store: Store, object: ObjectModel, name: string, value: unknown): Written {
  const { model } = store;
  const field = model.findField(object, name);
  const relationship = field ? undefined : model.findRelationship(object, name);
  if (relationship && isJsonObject(value)) {
    return parentField(store, relationship, value);
  }
  if (!field) {
    return { fault: rowFault('INVALID_FIELD', `No such column '${name}' on sobject of type ${object.name}`) };
  }
  if (field.readOnly) {
    return { fault: notWritable(field) };
  }
  if (value === null || value === '') {
    return { field, value: null };
  }
  const stored = parseJsonValue(field, value);
  if (stored === undefined) {
    throw new BadValue(`Cannot deserialize instance of ${field.type} from value ${JSON.stringify(value)}`);
  }
  return { field, value: stored };
}

/** `{"Account": {"External_Id__c": "A1"}}`, for polymorphic look-ups with `attributes.type` or `type`. */
function parentField(store: Store, field: Field, value: JsonObject): Written {
  const attributes = isJsonObject(value.attributes) ? value.attributes : {};
  const typeName = attributes.type ?? value.type;
  const targets = field.referenceTo ?? [];
  const parent = store.model.find(String(typeName ?? (targets.length === 1 ? targets[0] : '')));
  const [keyName, key] =
    Object.entries(value).find(([name]) => name !== 'attributes' && name !== 'type') ?? [];
  const keyField = parent && keyName ? store.model.findField(parent, keyName) : undefined;
  if (!parent || !targets.includes(parent.name) || !keyField || !(keyField.externalId || keyField.idLookup)) {
    const message = `No such column '${keyName ?? ''}' on sobject of type ${String(typeName ?? field.relationshipName)}`;
    return { fault: rowFault('INVALID_FIELD', message) };
  }
  const [serial, second] = store.table(parent).find(keyField, String(key));
  if (serial === undefined || second !== undefined) {
    const message = `Foreign key external ID: ${String(key).toLowerCase()} not found for field ${keyField.name} in entity ${parent.name}`;
    return { fault: rowFault('INVALID_FIELD', message) };
  }
  return { field, value: store.idOf(parent, serial) };
}
