import type { Store } from './data/store.ts';
import type { Field, ObjectModel } from './model/types.ts';

/** The organization and three users: the one that the API acts as, and two that assignment rules give records to. */
export function seedSystemRecords(store: Store, now: number): void {
  put(
    store,
    'Organization',
    { Name: 'Sandbox Org', OrganizationType: 'Developer Edition', IsSandbox: 'true', InstanceName: 'SBX1' },
    now,
  );
  put(
    store,
    'User',
    { Username: 'load@example.com', Name: 'Load User', Email: 'load@example.com', IsActive: 'true' },
    now,
  );
  put(
    store,
    'User',
    { Username: 'support@example.com', Name: 'Support Queue', Email: 'support@example.com' },
    now,
  );
  put(store, 'User', { Username: 'sales@example.com', Name: 'Sales Queue', Email: 'sales@example.com' }, now);
}

function put(store: Store, objectName: string, values: Record<string, string>, now: number): void {
  const object: ObjectModel = store.model.get(objectName);
  const fields = Object.keys(values).map((name): Field => {
    const field = store.model.findField(object, name);
    if (!field) {
      throw new Error(`${objectName} has no field ${name}.`);
    }
    return field;
  });
  store.table(object).insert(fields, Object.values(values), now);
}
