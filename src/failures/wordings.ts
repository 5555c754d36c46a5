/**
 * Wordings that Salesforce uses for one code only, to name an error whose text came without its code: REST messages
 * that a trigger, a flow or another tool passed on. English, as recorded (reference: sf-errors.csv).
 */
const WORDINGS: readonly [RegExp, string][] = [
  [/unable to obtain exclusive access to this record/i, 'UNABLE_TO_LOCK_ROW'],
  [/^Unable to create\/update fields?: /i, 'INVALID_FIELD_FOR_INSERT_UPDATE'],
  [/: id value of incorrect type: /i, 'MALFORMED_ID'],
  [/^entity is deleted$/i, 'ENTITY_IS_DELETED'],
  [/^Record rolled back because not all records were valid/i, 'ALL_OR_NONE_OPERATION_ROLLED_BACK'],
  [/^(?:Id|.{1,80} Id) not specified in an? \w+ call$/i, 'MISSING_ARGUMENT'],
  [/^Duplicate PermissionSetAssignment\b/i, 'DUPLICATE_VALUE'],
  [/^duplicate value found: /i, 'DUPLICATE_VALUE'],
  [/: data value too large: /i, 'STRING_TOO_LONG'],
  [/^Value does not exist or does not match filter criteria/i, 'FIELD_FILTER_VALIDATION_EXCEPTION'],
  [/: value not of required type/i, 'INVALID_TYPE_ON_FIELD_IN_RECORD'],
  [/^(?:TotalRequests|ConcurrentRequests)\b.* Limit exceeded/i, 'REQUEST_LIMIT_EXCEEDED'],
  [/^Your query request was running for too long/i, 'QUERY_TIMEOUT'],
  [/^Required fields are missing: \[/i, 'REQUIRED_FIELD_MISSING'],
];

/** The code that a text without one can only belong to; undefined when its wording is not known. */
export function codeOfWording(text: string): string | undefined {
  return WORDINGS.find(([pattern]) => pattern.test(text))?.[1];
}
