/** What Salesforce's token endpoint says, and what a person does about it (reference bulk-api-2.md §5). */
interface LoginRefusal {
  error: RegExp;
  description: RegExp;
  advice: string;
}

const REFUSALS: readonly LoginRefusal[] = [
  {
    error: /^invalid_grant$/,
    description: /hasn't approved this consumer/i,
    advice:
      'Pre-authorise the user for the app: its policies, "Admin approved users", and the profile or permission set.',
  },
  {
    error: /^invalid_app_access$/,
    description: /./,
    advice: 'Give the user the profile or permission set that the app admits.',
  },
  {
    error: /^invalid_grant$/,
    description: /no client credentials user/i,
    advice: 'Set a Run As user in the client credentials policy of the app.',
  },
  {
    error: /^invalid_grant$/,
    description: /authentication failure/i,
    advice:
      "Check user name and password, with the security token appended to the password; orgs made since Summer '23 block this flow until it is allowed.",
  },
  {
    error: /^invalid_grant$/,
    description: /expired access\/refresh token|token (?:is )?(?:expired|revoked)|inactive/i,
    advice: 'The refresh token is used up or revoked: authorise again and enter the new one.',
  },
  {
    error: /^invalid_grant$/,
    description: /assertion|audience|expir/i,
    advice:
      'Check the audience, that the certificate of the app belongs to the private key, and the clock of this machine.',
  },
  {
    error: /^invalid_grant$/,
    description: /ip restricted|login hours/i,
    advice: 'The profile or the app admits logins from other addresses or at other times only.',
  },
  {
    error: /^invalid_grant$/,
    description: /request not supported on this domain/i,
    advice: 'The client credentials flow works on the My Domain host only: give it as the login address.',
  },
  {
    error: /^invalid_client_id$/,
    description: /./,
    advice: 'Check the client id (consumer key); a new app takes some minutes until it is known everywhere.',
  },
  {
    error: /^invalid_client$/,
    description: /./,
    advice: 'Check the client secret, or the certificate for the JWT bearer flow.',
  },
  {
    error: /^(?:unsupported_grant_type|unauthorized_client)$/,
    description: /^/,
    advice:
      'Allow this OAuth flow in the settings of the app; the client credentials flow needs the My Domain host.',
  },
];

const OTHERWISE = 'Check the credentials of the connection and the policies of the app.';

/** Errors of the token endpoint that pass: its own trouble, or too many logins of one user in an hour. */
const PASSING: readonly { error: RegExp; description: RegExp }[] = [
  { error: /^(?:server_error|temporarily_unavailable)$/, description: /^/ },
  { error: /^unknown_error$/, description: /retry/i },
  { error: /^invalid_grant$/, description: /login rate exceeded|rate limit/i },
];

export function loginAdvice(error: string, description: string): string {
  const found = REFUSALS.find((known) => known.error.test(error) && known.description.test(description));
  return found?.advice ?? OTHERWISE;
}

export function loginRefusalPasses(error: string, description: string): boolean {
  return PASSING.some((known) => known.error.test(error) && known.description.test(description));
}
