import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DebugMessage, NodeRedComms, type StatusMessage } from './node-red-comms.ts';
import { installPackage, type PackageSource } from './node-red-package.ts';
import { type StartOptions, spawnNodeRed, writeSettings } from './node-red-process.ts';

export type { DebugMessage, StatusMessage } from './node-red-comms.ts';
export type { NodeRedVersion, StartOptions } from './node-red-process.ts';

export type DeployType = 'full' | 'flows' | 'nodes' | 'reload';

/** One entry of a flow file. */
export interface FlowNode {
  id: string;
  type: string;
  [property: string]: unknown;
}

export interface DeployOptions {
  type?: DeployType;
  /** By node id. */
  credentials?: Record<string, Record<string, string>>;
}

/** A set of node types as `GET /nodes` lists it; `err` when it could not be loaded. */
export interface NodeSet {
  id: string;
  name: string;
  types: string[];
  enabled: boolean;
  module: string;
  version: string;
  err?: unknown;
}

/** Starts a real Node-RED in a process of its own and waits until its flows run. */
export async function startNodeRed(options: StartOptions = {}): Promise<NodeRed> {
  const userDir = options.userDir ?? (await mkdtemp(join(tmpdir(), 'sf-bulk-node-red-')));
  await writeSettings(userDir, options.settings ?? {});
  if (options.userDir === undefined) {
    for (const source of options.packages ?? []) await installPackage(userDir, source);
  }
  const child = spawnNodeRed(userDir, options);
  const nodeRed = new NodeRed(child, userDir, options.userDir === undefined);
  try {
    await nodeRed.ready(options.startTimeoutMs ?? 60_000);
  } catch (error) {
    await nodeRed.kill();
    await nodeRed.stop();
    throw error;
  }
  return nodeRed;
}

/** A user directory that outlives a process: for tests that start Node-RED again on what it had. The caller removes it. */
export async function prepareUserDir(packages: PackageSource[]): Promise<string> {
  const userDir = await mkdtemp(join(tmpdir(), 'sf-bulk-node-red-'));
  for (const source of packages) await installPackage(userDir, source);
  return userDir;
}

/** A node that has wires is one on a tab; Node-RED takes what has no place there for a config node. */
function asSaved(node: FlowNode, credentials: Record<string, string> | undefined): FlowNode {
  const place = node.wires === undefined ? {} : { x: 100, y: 100 };
  return { ...place, ...node, ...(credentials === undefined ? {} : { credentials }) };
}

/** Node-RED's log in the languages of our catalogues (`@node-red/runtime/locales/<language>/runtime.json`). */
const LISTENING = /(?:Server now running at|Server wird jetzt auf|サーバは) (http:\S+)/;
const READY =
  /Started flows|Stopped flows|Waiting for missing types|Flows sind ge(?:startet|stoppt)|フローを(?:開始|停止)しました/;

export class NodeRed {
  readonly userDir: string;
  /** All that it printed, line by line. */
  readonly logs: string[] = [];
  /** Of the form `http://127.0.0.1:port/`. */
  url = '';
  readonly #child: ChildProcess;
  readonly #ownsUserDir: boolean;
  readonly #exited: Promise<void>;
  #comms: NodeRedComms | undefined;
  #exit: { code: number | null; signal: NodeJS.Signals | null } | undefined;

  constructor(child: ChildProcess, userDir: string, ownsUserDir: boolean) {
    this.#child = child;
    this.userDir = userDir;
    this.#ownsUserDir = ownsUserDir;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        resolve();
      });
    });
    for (const stream of [child.stdout, child.stderr]) this.#readLines(stream);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('Node-RED could not be started.');
    return this.#child.pid;
  }

  /** How it ended; undefined while it runs. */
  get exit(): { code: number | null; signal: NodeJS.Signals | null } | undefined {
    return this.#exit;
  }

  get debug(): DebugMessage[] {
    return this.comms.debug;
  }

  get comms(): NodeRedComms {
    if (this.#comms === undefined) throw new Error('Node-RED is not up.');
    return this.#comms;
  }

  /** For `startNodeRed`: waits until it listens and its flows are started. */
  async ready(timeoutMs: number): Promise<void> {
    const line = await this.waitForLog(LISTENING, timeoutMs);
    this.url = LISTENING.exec(line)?.[1] ?? '';
    await this.waitForLog(READY, timeoutMs);
    this.#comms = await NodeRedComms.open(this.url);
  }

  /** Deploys and waits until the new flows run. Rejects when a type is missing. Returns the revision. */
  async deploy(flows: FlowNode[], options: DeployOptions = {}): Promise<string> {
    const before = this.comms.notifications.length;
    const complete = flows.map((node) => asSaved(node, options.credentials?.[node.id]));
    const { rev } = await this.request<{ rev: string }>('POST', 'flows', {
      headers: { 'Node-RED-API-Version': 'v2', 'Node-RED-Deployment-Type': options.type ?? 'full' },
      body: { flows: complete },
    });
    await this.waitFor(() => this.#deployed(before, rev), `flows of revision ${rev} are started`, 30_000);
    return rev;
  }

  #deployed(before: number, rev: string): boolean {
    for (const { name, payload } of this.comms.notifications.slice(before)) {
      if (name === 'runtime-state' && payload.error !== undefined) {
        throw new Error(`Flows not started: ${JSON.stringify(payload)}`);
      }
      if (name === 'runtime-deploy' && payload.revision === rev) return true;
    }
    return false;
  }

  /** The flows as saved. */
  async flows(): Promise<FlowNode[]> {
    const headers = { 'Node-RED-API-Version': 'v2' };
    const { flows } = await this.request<{ flows: FlowNode[] }>('GET', 'flows', { headers });
    return flows;
  }

  /** Presses the button of an inject node. */
  async inject(nodeId: string): Promise<void> {
    await this.request('POST', `inject/${nodeId}`);
  }

  nodes(): Promise<NodeSet[]> {
    return this.request('GET', 'nodes', { headers: { accept: 'application/json' } });
  }

  /** Any call of the admin API. Rejects on a status of 400 or more, with the body. */
  async request<T = unknown>(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: unknown } = {},
  ): Promise<T> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text) as T;
  }

  /** The next, or an earlier, debug message that fits. */
  async waitForDebug(
    fits: (message: DebugMessage) => boolean,
    what = 'a debug message came',
    timeoutMs = 10_000,
  ): Promise<DebugMessage> {
    return this.#waitForValue(() => this.debug.find(fits), what, timeoutMs);
  }

  async waitForStatus(
    nodeId: string,
    fits: (status: StatusMessage) => boolean,
    timeoutMs = 10_000,
  ): Promise<StatusMessage> {
    const find = () => this.comms.statuses.find((status) => status.nodeId === nodeId && fits(status));
    return this.#waitForValue(find, `node ${nodeId} showed the status`, timeoutMs);
  }

  /** The first line that fits, of those printed so far or still to come. */
  async waitForLog(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    return this.#waitForValue(
      () => this.logs.find((line) => pattern.test(line)),
      `it logged ${pattern}`,
      timeoutMs,
    );
  }

  /** Waits for anything; on time-out, or when Node-RED ends, says what did not come and what was logged last. */
  async waitFor(
    condition: () => boolean | Promise<boolean>,
    what: string,
    timeoutMs = 10_000,
  ): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await condition())) {
      const ended = this.#exit !== undefined;
      if (ended || Date.now() > deadline) {
        const why = ended
          ? `Node-RED ended (${JSON.stringify(this.#exit)})`
          : `Waited ${timeoutMs} ms in vain`;
        throw new Error(`${why} until ${what}. Its last lines:\n${this.logs.slice(-30).join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #waitForValue<T>(find: () => T | undefined, what: string, timeoutMs: number): Promise<T> {
    let found: T | undefined;
    await this.waitFor(
      () => {
        found = find();
        return found !== undefined;
      },
      what,
      timeoutMs,
    );
    return found as T;
  }

  /** Of the process, in bytes; `peak` since it started. Linux only. */
  async memory(): Promise<{ rss: number; peak: number }> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    const bytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
    return { rss: bytes('VmRSS'), peak: bytes('VmHWM') };
  }

  /** Freezes the process (SIGSTOP), as a machine that sleeps would. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Sends a signal and waits for the end; `SIGKILL` is a crash. The user directory stays. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.#exited;
    this.#comms?.close();
  }

  /**
   * Stops as a service manager does, then removes the user directory, unless the caller brought it. Rejects when Node-RED
   * had to be killed: it gives its nodes 15 s.
   */
  async stop(): Promise<void> {
    const late = this.#exit === undefined && !(await this.#stopsWithin(20_000));
    if (late) await this.kill();
    if (this.#ownsUserDir) await rm(this.userDir, { recursive: true, force: true, maxRetries: 3 });
    if (late) throw new Error(`Node-RED did not stop. Its last lines:\n${this.logs.slice(-30).join('\n')}`);
  }

  async #stopsWithin(timeoutMs: number): Promise<boolean> {
    this.resume();
    const stopped = this.kill('SIGTERM').then(() => true);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    return Promise.race([stopped, late]).finally(() => clearTimeout(timer));
  }

  #readLines(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      this.logs.push(...lines);
    });
  }
}
