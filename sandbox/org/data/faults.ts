/** A fault of one record, before it takes the form of Bulk, of a single REST call or of Collections. */
export interface RowFault {
  code: string;
  message: string;
  fields: readonly string[];
}

export const rowFault = (code: string, message: string, fields: readonly string[] = []): RowFault => ({
  code,
  message,
  fields,
});

/** The form of sf__Error: `CODE:message:Field,Field --`, and `:--` where no field is named (reference §4.1). */
export function bulkError(faults: readonly RowFault[], joiner: string): string {
  return faults
    .map(
      ({ code, message, fields }) =>
        `${code}:${message}:${fields.length > 0 ? `${fields.join(',')} ` : ''}--`,
    )
    .join(joiner);
}
