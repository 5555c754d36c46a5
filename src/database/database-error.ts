import { type ErrorCode, isLoadError, LoadError } from '../errors.ts';

/**
 * A refusal by PostgreSQL, or a connection that failed. Never holds the content of a row: the server's `detail`, `where`
 * and internal query are left out, and quoted values in its message are masked where they are data.
 */
export class DatabaseError extends LoadError {
  /** The server's code (PostgreSQL, appendix A), or null when the server said nothing. */
  readonly sqlState: string | null;
  /** True when the same statement may succeed later, without anybody changing it or the configuration. */
  readonly retryable: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; sqlState: string | null; retryable: boolean },
  ) {
    super(code, message, { cause: options.cause });
    this.name = 'DatabaseError';
    this.sqlState = options.sqlState;
    this.retryable = options.retryable;
  }
}

/** Where a statement was going, for messages. */
export interface Address {
  host: string;
  port: number;
  database: string;
  user: string;
}

interface Cause {
  text: string;
  remedy: string;
  retryable: boolean;
}

const START_IT = 'Check that the server runs and that host and port are right.';
const ASK_ITS_ADMIN = 'It is expected back; if it stays away, ask who runs the server.';
const TRUST =
  'Give the CA certificate in the TLS configuration, or choose SSL mode "require" to encrypt without checking.';

/**
 * Why a connection is not there: by SQLSTATE (PostgreSQL, appendix A), by Node's errno, or by the driver's own text.
 * `{user}` and `{database}` are filled in.
 */
const CONNECTION_CAUSES: Record<string, Cause> = {
  '28P01': refused('the password of user "{user}" is wrong', 'Correct user and password.'),
  '28000': refused(
    'user "{user}" may not log in this way',
    'Ask for an entry in pg_hba.conf for this user, database and host, or change the SSL mode.',
  ),
  '3D000': refused('there is no database "{database}"', 'Correct the name or create the database.'),
  '53300': passing(
    'it has no connection left',
    'Raise max_connections or lower the pool sizes of its clients.',
  ),
  '57P01': passing('the server was shut down', ASK_ITS_ADMIN),
  '57P02': passing('the server crashed and recovers', ASK_ITS_ADMIN),
  '57P03': passing('the server is starting up or shutting down', ASK_ITS_ADMIN),
  '57P04': refused('the database was dropped', 'Correct the name or create the database.'),
  '57P05': passing('the server closed an idle session', 'Raise idle_session_timeout.'),
  '25P03': passing(
    'the server closed a session idle in its transaction',
    'Raise idle_in_transaction_session_timeout.',
  ),
  '08000': passing('the connection broke', ASK_ITS_ADMIN),
  '08001': passing('the connection was refused', START_IT),
  '08003': passing('the connection is gone', ASK_ITS_ADMIN),
  '08004': passing('the server rejected the connection', START_IT),
  '08006': passing('the connection broke', ASK_ITS_ADMIN),
  ECONNREFUSED: passing('nothing listens there', START_IT),
  ECONNRESET: passing('the connection was reset', START_IT),
  ECONNABORTED: passing('the connection was aborted', START_IT),
  EPIPE: passing('the connection was closed', START_IT),
  ETIMEDOUT: passing('there was no answer in time', START_IT),
  EHOSTUNREACH: passing('there is no route to the host', 'Check the network and the host name.'),
  EHOSTDOWN: passing('the host is down', START_IT),
  ENETUNREACH: passing('the network cannot be reached', 'Check the network and the host name.'),
  ENETDOWN: passing('the network is down', 'Check the network.'),
  ENOTFOUND: passing('the host name is not known', 'Correct the host name.'),
  EAI_AGAIN: passing(
    'the host name cannot be looked up at the moment',
    'Check the host name and the name server.',
  ),
  DEPTH_ZERO_SELF_SIGNED_CERT: refused('its certificate is signed by itself', TRUST),
  SELF_SIGNED_CERT_IN_CHAIN: refused('its certificate is signed by an unknown authority', TRUST),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: refused('its certificate is signed by an unknown authority', TRUST),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: refused('its certificate is signed by an unknown authority', TRUST),
  CERT_HAS_EXPIRED: refused('its certificate has expired', 'Renew it on the server.'),
  CERT_NOT_YET_VALID: refused('its certificate is not valid yet', 'Check the clocks of both machines.'),
  ERR_TLS_CERT_ALTNAME_INVALID: refused(
    'its certificate is for another host name',
    'Connect by a name that the certificate holds, or set the server name in the TLS configuration.',
  ),
  'The server does not support SSL connections': refused(
    'the server does not offer SSL',
    'Turn on ssl on the server, or choose SSL mode "disable".',
  ),
  'There was an error establishing an SSL connection': refused('the SSL handshake failed', START_IT),
  'Connection terminated unexpectedly': passing('the connection broke', START_IT),
  'Connection terminated': passing('the connection was closed', START_IT),
  'Connection terminated due to connection timeout': passing('there was no answer in time', START_IT),
  'timeout expired': passing('there was no answer in time', START_IT),
  'Client has encountered a connection error and is not queryable': passing('the connection broke', START_IT),
  'Client was closed and is not queryable': passing('the connection was closed', START_IT),
};

/** Statements that may simply be sent again: the server undid them, or lacks something for the moment. */
const RETRYABLE_STATEMENTS = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '53100', // disk_full
  '53200', // out_of_memory
  '55P03', // lock_not_available
]);

const DATA_EXCEPTION = '22';
const QUOTED = /"[^"]*"|«[^»]*»|„[^“”]*[“”]|“[^”]*”|「[^」]*」/g;

function passing(text: string, remedy: string): Cause {
  return { text, remedy, retryable: true };
}

function refused(text: string, remedy: string): Cause {
  return { text, remedy, retryable: false };
}

/**
 * What `pg` rejects with, in our terms. Anything that is not about the database is handed back as it is. `offset`: how many
 * characters of the statement stood before what a person wrote.
 */
export function asDatabaseError(error: unknown, at: Address, offset = 0): unknown {
  if (!(error instanceof Error) || error instanceof LoadError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const cause = CONNECTION_CAUSES[code] ?? CONNECTION_CAUSES[error.message];
  if (cause !== undefined) return unavailable(error, code, cause, at);
  if (isSqlState(code)) return queryFailed(error, code, offset);
  return isSystemError(error)
    ? unavailable(error, code, passing(`it failed with ${code}`, START_IT), at)
    : error;
}

/** Of a connection that did not come about: whatever it was, the database cannot be used. */
export function asConnectError(error: unknown, at: Address): unknown {
  const known = asDatabaseError(error, at);
  if (!(error instanceof Error) || isLoadError(known, 'DB_UNAVAILABLE')) return known;
  const cause = error.message.includes('password must be')
    ? refused('the server asks for a password, and there is none', 'Enter user and password.')
    : refused(`the connection failed (${error.message})`, 'Check address, user and password.');
  return unavailable(error, 'code' in error ? String(error.code) : '', cause, at);
}

function unavailable(error: Error, code: string, cause: Cause, at: Address): DatabaseError {
  const why = cause.text.replace('{user}', at.user).replace('{database}', at.database);
  return new DatabaseError(
    'DB_UNAVAILABLE',
    `PostgreSQL at ${at.host}:${at.port}/${at.database} cannot be used: ${why}. ${cause.remedy}`,
    { cause: scrubbed(error), sqlState: isSqlState(code) ? code : null, retryable: cause.retryable },
  );
}

function queryFailed(error: Error, sqlState: string, offset: number): DatabaseError {
  const { hint, position } = error as { hint?: string; position?: string };
  const parts = [`PostgreSQL refused a statement: ${messageOf(error, sqlState)} (SQLSTATE ${sqlState}).`];
  if (position !== undefined)
    parts.push(`At character ${Math.max(1, Number(position) - offset)} of the SQL.`);
  if (hint !== undefined) parts.push(`Hint: ${hint}`);
  return new DatabaseError('DB_QUERY_FAILED', parts.join(' '), {
    cause: scrubbed(error),
    sqlState,
    retryable: RETRYABLE_STATEMENTS.has(sqlState),
  });
}

/** What may be kept of an error of the driver: names, no values. */
function scrubbed(error: Error): Error {
  const fields = error as Error & { code?: string; [name: string]: unknown };
  const code = fields.code ?? '';
  const safe = new Error(messageOf(error, code));
  safe.name = error.name;
  if (error.stack !== undefined) safe.stack = error.stack.replace(error.message, safe.message);
  const names = ['severity', 'schema', 'table', 'column', 'dataType', 'constraint', 'position', 'routine'];
  const kept = names.filter((name) => fields[name] !== undefined).map((name) => [name, fields[name]]);
  return Object.assign(safe, { code, ...Object.fromEntries(kept) });
}

/** Class 22 (data exception) quotes the value that was wrong: `invalid input syntax for type integer: "…"`. */
function messageOf(error: Error, sqlState: string): string {
  return sqlState.startsWith(DATA_EXCEPTION) ? error.message.replace(QUOTED, '"…"') : error.message;
}

function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code);
}

function isSystemError(error: Error): boolean {
  return 'syscall' in error;
}
