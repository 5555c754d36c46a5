/**
 * What a field is in a record, or in a failure: there in the failure itself (`sfId`, `error`) or in its `originalData`
 * (`External_Id__c`). A name with dots is first sought as it is (`Account.Ext__c` of a CSV), then as a path. Undefined: in
 * neither.
 */
export function fieldOf(record: Record<string, unknown>, field: string): unknown {
  for (const holder of [record, record.originalData]) {
    const value = valueIn(holder, field);
    if (value !== undefined) return value;
  }
  return undefined;
}

function valueIn(holder: unknown, field: string): unknown {
  if (!isHolder(holder)) return undefined;
  if (Object.hasOwn(holder, field)) return holder[field];
  let value: unknown = holder;
  for (const name of field.split('.')) {
    if (!isHolder(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function isHolder(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
