import { type ApiError, sameCode } from './error-body.ts';

/** What a person does about a call that is refused as a whole (reference bulk-api-2.md §2.1, §7.1). */
const ADVICE: readonly { errorCode: string; advice: string }[] = [
  {
    errorCode: 'FEATURENOTENABLED',
    advice: 'hardDelete needs the permission "Bulk API Hard Delete" for the user of the connection.',
  },
  {
    errorCode: 'INVALIDENTITY',
    advice:
      'Check the API name of the object, that Bulk API takes it, and that the user of the connection may see it.',
  },
  {
    errorCode: 'INVALID_TYPE',
    advice: 'Check the API name of the object, and that the user of the connection may see it.',
  },
  {
    errorCode: 'API_DISABLED_FOR_ORG',
    advice: 'Give the user of the connection the permission "API Enabled"; some editions have no API.',
  },
  { errorCode: 'API_CURRENTLY_DISABLED', advice: 'The API is switched off for a while, as in maintenance.' },
  { errorCode: 'OAUTH_APP_BLOCKED', advice: 'An administrator has blocked the app of the connection.' },
  {
    errorCode: 'EXCEEDEDQUOTA',
    advice: 'The batches or jobs that the org allows in 24 hours are used up: load the rest later.',
  },
  {
    errorCode: 'INSUFFICIENT_ACCESS',
    advice: 'The user of the connection lacks the rights for this call.',
  },
  { errorCode: 'UNSUPPORTED_API_VERSION', advice: 'The org does not have this apiVersion.' },
  { errorCode: 'GONE', advice: 'Salesforce has retired this apiVersion: choose a newer one.' },
];

export function refusalAdvice(errors: readonly ApiError[]): string | undefined {
  return ADVICE.find(({ errorCode }) => errors.some((error) => sameCode(error.errorCode, errorCode)))?.advice;
}
