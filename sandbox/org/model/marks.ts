import type { Mark } from './types.ts';

/**
 * The marks that a value can carry, with the texts that real orgs gave for such faults (reference, sf-errors.csv).
 * `C-00042-LOCK-7` meets a row lock, and so on; the part between the hyphens names the fault.
 */
export function marksOn(field: string, objectName: string): Mark[] {
  const trigger = `${objectName.replace('__c', '')}Trigger`;
  return [
    {
      field,
      contains: '-LOCK-',
      scope: 'bulk-first-try',
      code: 'UNABLE_TO_LOCK_ROW',
      message: 'unable to obtain exclusive access to this record',
    },
    {
      field,
      contains: '-APEX-',
      scope: 'in-company',
      code: 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
      message: `${trigger}: System.LimitException: Too many SOQL queries: 101`,
    },
    {
      field,
      contains: '-APEXALL-',
      scope: 'whole-chunk',
      code: 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY',
      message: `${trigger}: System.LimitException: Too many SOQL queries: 101`,
    },
    {
      field,
      contains: '-FLOW-',
      scope: 'in-company',
      code: 'CANNOT_EXECUTE_FLOW_TRIGGER',
      message:
        `We can't save this record because the "${objectName} | After | Rollup Flow" process failed.\n\n` +
        'Limit Exceeded\nError ID: 1070455769-22115 (1629162666)',
    },
    {
      field,
      contains: '-VALIDATION-',
      scope: 'always',
      code: 'FIELD_CUSTOM_VALIDATION_EXCEPTION',
      message: 'Zip code cannot be checked: "none", or outside the country',
    },
    {
      field,
      contains: '-STORAGE-',
      scope: 'always',
      code: 'STORAGE_LIMIT_EXCEEDED',
      message: 'storage limit exceeded',
    },
    {
      field,
      contains: '-UNKNOWN-',
      scope: 'bulk-first-try',
      code: 'UNKNOWN_EXCEPTION',
      message:
        'An unexpected error occurred. Please include this ErrorId if you contact support: 1070455769-22115',
    },
  ];
}
