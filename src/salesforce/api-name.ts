import { LoadError } from '../errors.ts';

/** Throws CONFIG_INVALID for anything that is not an API name, so that none can add to a URL or a query. */
export function checkedApiName(kind: 'object' | 'field', name: string): string {
  if (/^[A-Za-z]\w{0,254}$/.test(name)) return name;
  throw new LoadError(
    'CONFIG_INVALID',
    `not the API name of ${kind === 'object' ? 'an object' : 'a field'}: ${name}`,
  );
}

/** Of 15 or 18 characters. Whether a record has it is another matter. */
export function isRecordId(id: string): boolean {
  return /^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$/.test(id);
}
