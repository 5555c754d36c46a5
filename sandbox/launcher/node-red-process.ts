import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { platform, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SandboxProcess, type StartPatience } from './child-process.ts';
import { EditorComms } from './editor-comms.ts';
import { HOST } from './editor-port.ts';
import type { FlowNode } from './example-flow.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const PACKAGE = 'node-red-contrib-salesforce-bulk';
/**
 * On a large machine V8 lets garbage pile up to half a gigabyte before it looks; what is alive is about 50 MB, however
 * many rows. With these limits the memory that is shown is the memory that a load needs.
 */
export const MEMORY_LIMITS = ['--max-old-space-size=88', '--max-semi-space-size=8'];
/** Of Node-RED's log: what a person should see. */
const WORTH_SHOWING = /\[(warn|error)\]/;

export interface StartOptions extends StartPatience {
  /** 0 is any that is free. */
  port: number;
  env: Record<string, string>;
  /** Options of V8. */
  limits?: readonly string[];
}

/** Node-RED 5 in a process of its own, on a user directory that goes with it, with this package linked in. */
export class NodeRedProcess {
  readonly url: string;
  readonly comms: EditorComms;
  readonly #process: SandboxProcess;
  readonly #removeUserDir: () => Promise<void>;
  readonly #deployed = new Set<string>();

  /** When it does not start, because it ends, takes too long or `signal` is aborted, nothing of it is left. */
  static async start({
    port,
    env,
    limits = MEMORY_LIMITS,
    ...patience
  }: StartOptions): Promise<NodeRedProcess> {
    patience.signal?.throwIfAborted();
    const userDir = await mkdtemp(join(tmpdir(), 'sf-bulk-sandbox-'));
    const removeUserDir = () => rm(userDir, { recursive: true, force: true, maxRetries: 3 });
    let child: SandboxProcess | undefined;
    try {
      await prepare(userDir);
      const program = createRequire(import.meta.url).resolve('node-red/red.js');
      const args = [...limits, program, '--userDir', userDir, '--port', String(port)];
      child = new SandboxProcess('Node-RED', args, {
        cwd: userDir,
        env: { ...withoutNodeRedVariables(), ...env },
      });
      const { url, comms } = await child.started(ready(child), patience);
      return new NodeRedProcess(child, removeUserDir, url, comms);
    } catch (error) {
      await child?.stop();
      await removeUserDir();
      throw error;
    }
  }

  private constructor(
    child: SandboxProcess,
    removeUserDir: () => Promise<void>,
    url: string,
    comms: EditorComms,
  ) {
    this.#process = child;
    this.#removeUserDir = removeUserDir;
    this.url = url;
    this.comms = comms;
    comms.on('deployed', (revision) => this.#deployed.add(revision));
  }

  /** Replaces all flows and resolves when the new ones run. */
  async deploy(flows: FlowNode[]): Promise<void> {
    const refused = new Promise<never>((_, reject) => {
      this.comms.once('refused', (why) => {
        const text = [`Node-RED cannot run the example flow: ${why}`, ...this.complaints].join('\n');
        reject(new Error(text));
      });
    });
    refused.catch(() => {});
    const headers = { 'node-red-api-version': 'v2', 'node-red-deployment-type': 'full' };
    const answer = await this.#post('flows', headers, { flows });
    const { rev } = (await answer.json()) as { rev: string };
    // Of a flow that is refused both are told, so the refusal is asked first.
    await Promise.race([refused, this.#running(rev), this.failure()]);
  }

  async #running(revision: string): Promise<void> {
    while (!this.#deployed.has(revision)) {
      await new Promise((resolve) => this.comms.once('deployed', resolve));
    }
  }

  /** Presses the button of an inject node. */
  async inject(nodeId: string): Promise<void> {
    await this.#post(`inject/${nodeId}`);
  }

  /** The most memory (RSS) that the process ever held, in bytes; undefined where /proc does not tell. */
  async peakMemory(): Promise<number | undefined> {
    const status = await readFile(`/proc/${this.#process.pid}/status`, 'utf8').catch(() => '');
    const kilobytes = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  }

  /** Rejects when the process ends. */
  failure(): Promise<never> {
    return this.#process.failure();
  }

  /** Warnings and errors of its log, newest last. */
  get complaints(): string[] {
    return this.#process.lines.filter((line) => WORTH_SHOWING.test(line));
  }

  async stop(): Promise<void> {
    this.comms.close();
    await this.#process.stop();
    await this.#removeUserDir();
  }

  async #post(path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Response> {
    const answer = await fetch(new URL(path, this.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok)
      throw new Error(`Node-RED answered ${answer.status} to POST /${path}: ${await answer.text()}`);
    return answer;
  }
}

async function ready(child: SandboxProcess): Promise<{ url: string; comms: EditorComms }> {
  const [[, url = '']] = await Promise.all([
    child.line(/Server now running at (http:\S+)/),
    child.line(/Started flows|Stopped flows/),
  ]);
  return { url, comms: await EditorComms.open(url) };
}

/** A person's NODE_RED_ENABLE_SAFE_MODE, NODE_RED_ENABLE_PROJECTS and the like win over settings, and are for their own. */
function withoutNodeRedVariables(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) => name.startsWith('NODE_RED_'));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

async function prepare(userDir: string): Promise<void> {
  const modules = join(userDir, 'node_modules');
  await mkdir(modules);
  await symlink(REPOSITORY, join(modules, PACKAGE), platform() === 'win32' ? 'junction' : 'dir');
  const settings = {
    uiHost: HOST,
    // Of its log, which we read, in place of the language of LC_ALL, LC_MESSAGES or LANG. The editor speaks the browser's.
    lang: 'en-US',
    flowFile: 'flows.json',
    credentialSecret: randomBytes(24).toString('base64url'),
    telemetry: { enabled: false, updateNotification: false },
    diagnostics: { enabled: false, ui: false },
    editorTheme: { tours: false, projects: { enabled: false } },
  };
  // A Node-RED whose launcher is gone sees its standard input end; then it takes its folder with it.
  const text = `process.stdin.resume().once('end', () => {
  require('node:fs').rmSync(__dirname, { recursive: true, force: true });
  process.exit();
});
module.exports = ${JSON.stringify(settings, null, 2)};\n`;
  await writeFile(join(userDir, 'settings.js'), text);
}
