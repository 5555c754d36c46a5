/** Counts what a run costs: one per HTTP request to the API, repeats included (reference bulk-api-2.md §3). */
export interface CallMeter {
  calls: number;
  /** Jobs that may have been made although the answer was lost: empty, Open, harmless (design §7.5). */
  orphans?: number;
}

export interface CallOptions {
  meter?: CallMeter | undefined;
  signal?: AbortSignal | undefined;
  /** How long an outage is waited out, in milliseconds; default the session's. */
  outageMs?: number | undefined;
  /** The same for a used-up day's allowance; default the session's. */
  limitWaitMs?: number | undefined;
}

/**
 * What a repeat of the call would do.
 *
 * - `safe`: nothing that is not already so (GET, abort, describe, query). A job's create is one too: a second one leaves
 *   at worst an empty Open job.
 * - `doubtful`: possibly the same thing twice (a record's insert, the close of a job).
 * - `upload`: the body of a job. One job gets one PUT (design §7.3), so not even a plain refusal is followed by a second.
 */
export type CallKind = 'safe' | 'doubtful' | 'upload';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface FileBody {
  path: string;
  /** Length of the file, sent as Content-Length. */
  bytes: number;
}

export interface ApiRequest {
  /** For messages: `Job 750… upload`. Never the content of a record. */
  what: string;
  method: HttpMethod;
  /** From the version's root (`/jobs/ingest`), or from the host's when it begins with `/services/`. */
  path: string;
  kind: CallKind;
  json?: unknown;
  file?: FileBody;
  contentType?: string;
  accept?: string;
  headers?: Record<string, string>;
  /** Statuses beside 2xx that are an answer and not a refusal, for example 300 of an upsert. */
  alsoAccepted?: readonly number[];
  /** Told when an attempt at a `safe` call may have done something although it is repeated, or broken off by us. */
  onDoubt?: () => void;
  /** Salesforce's texts may quote values of records: messages then give the codes alone. */
  isAboutRecords?: boolean;
  /** No trigger or flow runs for it, so that its answer is not waited for as long as that of other doubtful calls. */
  isQuick?: boolean;
}

export interface ApiAnswer {
  status: number;
  headers: Record<string, string>;
  /** The org's clock when it answered (Date header, whole seconds). */
  answeredAt: Date | undefined;
  /** The parsed JSON body; undefined when there is none. */
  body: unknown;
}

/** Whatever makes API calls: a session. */
export interface ApiCalls {
  call(request: ApiRequest, options?: CallOptions): Promise<ApiAnswer>;
}
