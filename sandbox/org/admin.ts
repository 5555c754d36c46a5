import type { Audit } from './audit.ts';
import type { Store } from './data/store.ts';
import type { Fault, Faults } from './faults.ts';
import { readJson } from './http/body.ts';
import { type Call, json, notFound, type Reply } from './http/reply.ts';
import type { Job } from './ingest/job.ts';
import type { JobFault, JobFaults } from './ingest/job-faults.ts';
import type { Jobs } from './ingest/jobs.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';

interface Parts {
  audit: Audit;
  faults: Faults;
  jobFaults: JobFaults;
  jobs: Jobs;
  store: Store;
  insert: (object: string, fields: JsonObject) => string;
  credentials: () => Json;
  expireTokens: () => void;
  reset: () => Promise<void>;
}

type AdminHandler = (call: Call) => Reply | Promise<Reply>;

/** /sandbox/…: the same controls as the library has, for tests in another process. */
export class AdminCalls {
  readonly #parts: Parts;
  readonly #handlers: Record<string, AdminHandler>;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#handlers = {
      'GET /sandbox/credentials': () => json(200, parts.credentials()),
      'GET /sandbox/faults': () => json(200, parts.faults.list() as unknown as Json),
      'POST /sandbox/faults': (call) => this.#addFault(call),
      'DELETE /sandbox/faults': () => done(parts.faults.clear()),
      'GET /sandbox/job-faults': () => json(200, parts.jobFaults.list() as unknown as Json),
      'POST /sandbox/job-faults': (call) => this.#addJobFault(call),
      'DELETE /sandbox/job-faults': () => done(parts.jobFaults.clear()),
      'POST /sandbox/release': (call) => done(parts.jobFaults.release(call.query.get('job') ?? undefined)),
      'POST /sandbox/expire-tokens': () => done(parts.expireTokens()),
      'POST /sandbox/reset-api-calls': () => done(parts.audit.resetApiCalls()),
      'POST /sandbox/reset': async () => done(await parts.reset()),
      'GET /sandbox/jobs': () => json(200, parts.jobs.all().map(jobSummary)),
      'GET /sandbox/audit': () => json(200, parts.audit.summary() as Json),
      'GET /sandbox/audit/requests': (call) => this.#requests(call),
      'GET /sandbox/audit/keys': (call) => this.#keys(call),
      'POST /sandbox/audit/keys': (call) => this.#keys(call),
      'GET /sandbox/records': (call) => this.#records(call),
      'POST /sandbox/records': (call) => this.#insert(call),
    };
  }

  readonly handle = async (call: Call): Promise<Reply> => {
    const handler = this.#handlers[`${call.method} ${call.path}`];
    if (!handler) {
      throw notFound();
    }
    return handler(call);
  };

  async #addFault(call: Call): Promise<Reply> {
    const fault = (await readJson(call)) as unknown as Fault;
    return json(200, { id: this.#parts.faults.add(fault) });
  }

  async #addJobFault(call: Call): Promise<Reply> {
    this.#parts.jobFaults.add((await readJson(call)) as unknown as JobFault);
    return json(200, {});
  }

  #requests(call: Call): Reply {
    const requests = this.#parts.audit.requests(
      call.query.get('path') ?? undefined,
      call.query.get('method') ?? undefined,
    );
    const limit = Number(call.query.get('limit') ?? 1000);
    return json(200, requests.slice(-limit) as unknown as Json);
  }

  /** `?object=Load_Test__c&field=Key__c`; a POST may give `{"expected": […]}` to learn which keys are missing. */
  async #keys(call: Call): Promise<Reply> {
    const { expected } = call.method === 'POST' ? await readJson(call) : { expected: [] };
    const keys = Array.isArray(expected) ? expected.map(String) : [];
    const object = call.query.get('object') ?? '';
    return json(
      200,
      this.#parts.audit.insertsPerKey(object, call.query.get('field') ?? '', keys) as unknown as Json,
    );
  }

  /** One record a line, for large numbers of them. */
  #records(call: Call): Reply {
    const { store } = this.#parts;
    const object = store.model.find(call.query.get('object') ?? '');
    if (!object) {
      throw notFound();
    }
    const lines = async function* (): AsyncGenerator<Buffer> {
      for (const serial of store.table(object).serials()) {
        yield Buffer.from(`${JSON.stringify(store.toPlain(object, serial))}\n`);
      }
    };
    return { status: 200, headers: { 'content-type': 'application/x-ndjson' }, body: lines() };
  }

  async #insert(call: Call): Promise<Reply> {
    const { object, records } = await readJson(call);
    const rows = Array.isArray(records) ? records.filter(isJsonObject) : [];
    return json(
      200,
      rows.map((row) => this.#parts.insert(String(object), row)),
    );
  }
}

const done = (_: unknown): Reply => json(200, {});

function jobSummary(job: Job): Json {
  return {
    id: job.id,
    object: job.object.name,
    operation: job.operation,
    state: job.state,
    records: job.upload?.records ?? 0,
    bytes: job.upload?.bytes ?? 0,
    processed: job.processed,
    failed: job.failed,
    errorMessage: job.errorMessage,
    isGone: job.isGone,
  };
}
