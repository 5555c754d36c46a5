import assert from 'node:assert/strict';
import { type Org, type OrgOptions, startOrg } from '../../../sandbox/org/org.ts';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

export type Body = Record<string, unknown>;

/** The body of an answer as JSON. */
export const parsed = <T = Record<string, string>>(answer: Answer): T => JSON.parse(answer.text) as T;

export interface JobInfo extends Record<string, unknown> {
  id: string;
  state: string;
  numberRecordsProcessed: number;
  numberRecordsFailed: number;
  retries: number;
  errorMessage?: string;
}

/** A plain HTTP client of the org: nothing of the loader, so that a test of the org tests the org alone. */
export class Client {
  readonly org: Org;
  readonly version: string;
  token = '';

  constructor(org: Org, version = '66.0') {
    this.org = org;
    this.version = version;
  }

  async login(form: Record<string, string> = {}): Promise<Answer> {
    const { clientId, clientSecret } = this.org.credentials;
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      ...form,
    });
    const answer = await read(await fetch(`${this.org.url}/services/oauth2/token`, { method: 'POST', body }));
    if (answer.status === 200) {
      this.token = parsed(answer).access_token ?? '';
    }
    return answer;
  }

  /** A call below `/services/data/vNN.0`; an object as body goes as JSON. */
  async call(
    method: string,
    path: string,
    body?: string | Buffer | Body,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
    const response = await fetch(`${this.org.url}/services/data/v${this.version}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined
        ? {}
        : { body: isRaw ? new Uint8Array(Buffer.from(body)) : JSON.stringify(body) }),
    });
    return read(response);
  }

  /** A call to `/sandbox/…`. */
  async admin(method: string, path: string, body?: Body): Promise<Answer> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    return read(await fetch(`${this.org.url}/sandbox/${path}`, init));
  }

  async createJob(job: Body): Promise<string> {
    const answer = await this.call('POST', '/jobs/ingest', job);
    assert.equal(answer.status, 200, answer.text);
    return parsed<JobInfo>(answer).id;
  }

  async upload(id: string, csv: string | Buffer): Promise<Answer> {
    return this.call('PUT', `/jobs/ingest/${id}/batches`, csv, { 'content-type': 'text/csv' });
  }

  async setState(id: string, state: string): Promise<Answer> {
    return this.call('PATCH', `/jobs/ingest/${id}`, { state });
  }

  async info(id: string): Promise<JobInfo> {
    return parsed<JobInfo>(await this.call('GET', `/jobs/ingest/${id}`));
  }

  /** Creates, uploads, closes. */
  async submit(job: Body, csv: string | Buffer): Promise<string> {
    const id = await this.createJob(job);
    const put = await this.upload(id, csv);
    assert.equal(put.status, 201, put.text);
    const patch = await this.setState(id, 'UploadComplete');
    assert.equal(patch.status, 200, patch.text);
    return id;
  }

  async finished(
    id: string,
    states: readonly string[] = ['JobComplete', 'Failed', 'Aborted'],
  ): Promise<JobInfo> {
    const deadline = Date.now() + 15_000;
    for (;;) {
      const info = await this.info(id);
      if (states.includes(info.state)) {
        return info;
      }
      assert.ok(Date.now() < deadline, `job ${id} is still ${info.state}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** A whole load; the job's last information and its three files. */
  async load(job: Body, csv: string | Buffer): Promise<{ id: string; info: JobInfo } & Files> {
    const id = await this.submit(job, csv);
    const info = await this.finished(id);
    return { id, info, ...(await this.files(id)) };
  }

  async files(id: string): Promise<Files> {
    const file = async (name: string): Promise<string> =>
      (await this.call('GET', `/jobs/ingest/${id}/${name}`)).text;
    return {
      success: await file('successfulResults'),
      failed: await file('failedResults'),
      unprocessed: await file('unprocessedrecords'),
    };
  }
}

export interface Files {
  success: string;
  failed: string;
  unprocessed: string;
}

async function read(response: Response): Promise<Answer> {
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Lines of a result file without its header. For files without line breaks in values. */
export const lines = (file: string): string[] => file.trimEnd().split('\n').slice(1);

/** An org for the tests of one block, with a client that is logged in. */
export function orgFor(options: OrgOptions = {}): { readonly org: Org; readonly client: Client } {
  let org: Org | undefined;
  let client: Client | undefined;
  before(async () => {
    org = await startOrg(options);
    client = new Client(org);
    await client.login();
  });
  after(async () => {
    await org?.close();
  });
  return {
    get org() {
      assert.ok(org);
      return org;
    },
    get client() {
      assert.ok(client);
      return client;
    },
  };
}

/** `count` lines of CSV made by number, from 1. */
export function rows(header: string, count: number, line: (n: number) => string): string {
  return `${header}\n${Array.from({ length: count }, (_, i) => `${line(i + 1)}\n`).join('')}`;
}
