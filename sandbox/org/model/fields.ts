import type { Field } from './types.ts';

type Extra = Partial<Omit<Field, 'name' | 'type'>>;

function labelOf(name: string): string {
  return name
    .replace(/__c$/, '')
    .replaceAll('_', ' ')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/ Id$/, ' ID');
}

const field = (name: string, type: Field['type'], extra: Extra): Field => ({
  name,
  type,
  label: labelOf(name),
  ...extra,
});

export const text = (name: string, length: number, extra: Extra = {}): Field =>
  field(name, 'string', { length, ...extra });
export const longText = (name: string, length = 32_000, extra: Extra = {}): Field =>
  field(name, 'textarea', { length, ...extra });
export const email = (name: string, extra: Extra = {}): Field =>
  field(name, 'email', { length: 80, ...extra });
export const phone = (name: string, extra: Extra = {}): Field =>
  field(name, 'phone', { length: 40, ...extra });
export const url = (name: string, extra: Extra = {}): Field => field(name, 'url', { length: 255, ...extra });
export const bool = (name: string, extra: Extra = {}): Field =>
  field(name, 'boolean', { defaultValue: 'false', ...extra });
export const int = (name: string, extra: Extra = {}): Field => field(name, 'int', extra);
export const double = (name: string, extra: Extra = {}): Field => field(name, 'double', extra);
export const currency = (name: string, extra: Extra = {}): Field => field(name, 'currency', extra);
export const percent = (name: string, extra: Extra = {}): Field => field(name, 'percent', extra);
export const date = (name: string, extra: Extra = {}): Field => field(name, 'date', extra);
export const dateTime = (name: string, extra: Extra = {}): Field => field(name, 'datetime', extra);
export const compound = (name: string, extra: Extra = {}): Field =>
  field(name, 'compound', { readOnly: true, length: 121, ...extra });

export const picklist = (name: string, values: readonly string[], extra: Extra = {}): Field =>
  field(name, 'picklist', { length: 255, picklist: values, ...extra });

/** A look-up field. `relationshipName` is the field's name without `Id`, or with `__r` for a custom one. */
export const reference = (name: string, referenceTo: readonly string[], extra: Extra = {}): Field =>
  field(name, 'reference', {
    length: 18,
    referenceTo,
    relationshipName: name.endsWith('__c') ? name.replace(/__c$/, '__r') : name.replace(/Id$/, ''),
    ...extra,
  });

/** A unique external id, compared without regard to capitals. */
export const externalId = (name: string, extra: Extra = {}): Field =>
  text(name, 80, { externalId: true, unique: true, idLookup: true, ...extra });

/** What every object has; the store fills these in. */
export const SYSTEM_FIELDS: readonly Field[] = [
  { name: 'Id', label: 'Record ID', type: 'id', length: 18, readOnly: true, idLookup: true },
  { name: 'IsDeleted', label: 'Deleted', type: 'boolean', readOnly: true },
  { name: 'CreatedDate', label: 'Created Date', type: 'datetime', readOnly: true },
  reference('CreatedById', ['User'], { readOnly: true }),
  { name: 'LastModifiedDate', label: 'Last Modified Date', type: 'datetime', readOnly: true },
  reference('LastModifiedById', ['User'], { readOnly: true }),
  { name: 'SystemModstamp', label: 'System Modstamp', type: 'datetime', readOnly: true },
];
