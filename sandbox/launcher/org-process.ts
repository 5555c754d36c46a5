import { fileURLToPath } from 'node:url';
import { SandboxProcess } from './child-process.ts';

export interface OrgAudit {
  /** Records that exist, by object. */
  rows: Record<string, number>;
  openJobs: number;
  jobs: Record<string, number>;
  /** Records that jobs have processed, failed ones included. */
  recordsProcessed: number;
  apiCalls: number;
}

/** The sandbox org in a process of its own, and what it says of itself. */
export class OrgProcess {
  readonly url: string;
  readonly #process: SandboxProcess;

  static async start(options: { sink: boolean; signal?: AbortSignal }): Promise<OrgProcess> {
    const program = fileURLToPath(new URL('../org/main.ts', import.meta.url));
    // In sink mode nothing fails by itself, so that 1 % is told to: dead letters are a part of what is measured.
    const sink = options.sink ? ['--sink', '--fail-percent', '1'] : [];
    const child = new SandboxProcess('The sandbox org', [program, '--with-parent', '--port', '0', ...sink]);
    try {
      const [line] = await child.started(child.line(/^\{.*"url".*\}$/), { signal: options.signal });
      return new OrgProcess(child, JSON.parse(line).url);
    } catch (error) {
      await child.stop();
      throw error;
    }
  }

  private constructor(child: SandboxProcess, url: string) {
    this.#process = child;
    this.url = url;
  }

  credentials(): Promise<{ clientId: string; clientSecret: string }> {
    return this.#get('/sandbox/credentials');
  }

  audit(): Promise<OrgAudit> {
    return this.#get('/sandbox/audit');
  }

  /** All records of an object, each a line of JSON. */
  async records(object: string): Promise<ReadableStream<Uint8Array>> {
    const answer = await fetch(`${this.url}/sandbox/records?object=${object}`);
    if (!answer.ok || answer.body === null) throw new Error(`The sandbox org answered ${answer.status}.`);
    return answer.body;
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  async #get<T>(path: string): Promise<T> {
    const answer = await fetch(this.url + path);
    if (!answer.ok) throw new Error(`The sandbox org answered ${answer.status} to ${path}.`);
    return (await answer.json()) as T;
  }
}
