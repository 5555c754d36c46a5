import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { platform } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { unlessAborted } from './resources.ts';

const KEPT_LINES = 200;
const PATIENCE_MS = 10_000;
/** A small machine that is busy needs half of it. */
const START_PATIENCE_MS = 120_000;

export interface StartPatience {
  signal?: AbortSignal | undefined;
  /** Default: two minutes. */
  patienceMs?: number | undefined;
}

/**
 * A program of the sandbox, in a process group of its own: Ctrl-C in the terminal reaches us, and we end it in good order.
 * It is expected to end by itself when its standard input closes, so that it does not outlive us, however we end.
 */
export class SandboxProcess {
  readonly name: string;
  /** What it printed last. */
  readonly lines: string[] = [];
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  #waiting: { pattern: RegExp; found: (match: RegExpExecArray) => void }[] = [];
  #ended = false;

  constructor(name: string, args: string[], { cwd, env }: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
    this.name = name;
    this.#child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: platform() !== 'win32',
    });
    this.#child.stdin?.on('error', () => {});
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#readLines(stream);
    this.exited = once(this.#child, 'close').then(() => {
      this.#ended = true;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The first line that fits, from now on. Rejects with the last lines when the process ends before. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve) => {
      this.#waiting.push({ pattern, found: resolve });
    });
    return Promise.race([found, this.failure()]);
  }

  /** What `ready` tells of its start. Rejects also when that takes too long, or when the signal is aborted. */
  async started<T>(ready: Promise<T>, { signal, patienceMs = START_PATIENCE_MS }: StartPatience): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(this.#lastWords(`did not start within ${patienceMs / 1000} s`)),
      patienceMs,
    );
    try {
      const signals = signal === undefined ? [late.signal] : [signal, late.signal];
      return await unlessAborted(ready, AbortSignal.any(signals));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Rejects when the process ends. */
  async failure(): Promise<never> {
    await this.exited;
    throw this.#lastWords('ended');
  }

  #lastWords(what: string): Error {
    const lines = this.lines.slice(-20).join('\n') || '(nothing)';
    return new Error(`${this.name} ${what}. The last that it printed:\n${lines}`);
  }

  /** Asks it to end, and insists after ten seconds. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#child.kill('SIGTERM');
    const patience = new AbortController();
    const insist = wait(PATIENCE_MS, undefined, { signal: patience.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => {},
    );
    await this.exited;
    patience.abort();
    await insist;
  }

  #readLines(stream: NodeJS.ReadableStream | null): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#see(line);
    });
  }

  #see(line: string): void {
    this.lines.push(line);
    if (this.lines.length > KEPT_LINES) this.lines.shift();
    this.#waiting = this.#waiting.filter(({ pattern, found }) => {
      const match = pattern.exec(line);
      if (match) found(match);
      return !match;
    });
  }
}
