import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Dirent } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expectedOutcome } from '../../sandbox/postgres/seed.ts';
import { REPOSITORY } from '../support/node-red-package.ts';
import { until } from '../support/until.ts';

/** `npm start` as a person runs it, with a temporary folder of its own to see what it leaves behind. */
class Start {
  readonly #child: ChildProcess;
  readonly #tmp: string;
  out = '';
  err = '';

  static run(...args: string[]): Promise<Start> {
    return Start.runWith({}, ...args);
  }

  static async runWith(env: Record<string, string>, ...args: string[]): Promise<Start> {
    const tmp = await mkdtemp(join(tmpdir(), 'start-test-'));
    // PostgreSQL's own account looks for its files in there.
    await chmod(tmp, 0o755);
    return new Start(tmp, args, env);
  }

  private constructor(tmp: string, args: string[], env: Record<string, string>) {
    this.#tmp = tmp;
    this.#child = spawn(process.execPath, ['sandbox/start.ts', ...args], {
      cwd: REPOSITORY,
      env: { ...process.env, ...env, TMPDIR: tmp },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.out += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.err += text;
    });
  }

  get lastLine(): string {
    return this.out.trimEnd().split('\n').at(-1) ?? '';
  }

  async exitCode(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'close');
    return this.#child.exitCode;
  }

  interrupt(signal: NodeJS.Signals = 'SIGINT'): void {
    this.#child.kill(signal);
  }

  /** As `head` does when it has seen enough. */
  readNoMore(): void {
    this.#child.stdout?.destroy();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Files that it left, but for what the next start uses again: PostgreSQL's programs and compiled modules. */
  async leftovers(): Promise<string[]> {
    const files = await this.#files();
    return files
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(this.#tmp, join(entry.parentPath, entry.name)))
      .filter((path) => !/^(sf-bulk-postgres-|node-compile-cache)/.test(path));
  }

  /** Folders may go while they are read: then it is read again. */
  async #files(): Promise<Dirent[]> {
    try {
      return await readdir(this.#tmp, { recursive: true, withFileTypes: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return this.#files();
    }
  }

  async remove(): Promise<void> {
    this.#child.kill('SIGKILL');
    await rm(this.#tmp, { recursive: true, force: true, maxRetries: 5 });
  }
}

describe('npm start', () => {
  let start: Start;
  afterEach(() => start.remove());

  it('loads, retries, keeps the rest, loads nothing a second time, and says so in one line of JSON', async () => {
    const rows = 600;
    start = await Start.run('--once', '--json', '--twice', '--rows', String(rows));
    assert.equal(await start.exitCode(), 0, start.out + start.err);
    const { seconds, ...counts } = JSON.parse(start.lastLine);
    const { loaded, healed, permanent } = expectedOutcome({ rows });
    assert.deepEqual(counts, {
      rows,
      succeeded: loaded,
      retried: healed,
      deadLettered: permanent,
      unprocessed: 0,
      unaccounted: 0,
    });
    assert.ok(seconds > 0);
    assert.match(start.out, /MiB at most in Node-RED/);
    assert.match(start.out, /Source rows, org and dead letters agree/);
    assert.deepEqual(await start.leftovers(), []);
  }).timeout(120_000);

  it('has a receipt also for no rows at all, on a machine with settings for other servers', async () => {
    const env = {
      LC_ALL: 'de_DE.UTF-8',
      NODE_RED_ENABLE_SAFE_MODE: 'true',
      PGSSLMODE: 'require',
      PGOPTIONS: '-c search_path=elsewhere',
    };
    start = await Start.runWith(env, '--once', '--json', '--rows', '0');
    assert.equal(await start.exitCode(), 0, start.out + start.err);
    const { seconds, ...counts } = JSON.parse(start.lastLine);
    assert.ok(seconds >= 0);
    assert.deepEqual(
      Object.values(counts).filter((count) => count !== 0),
      [],
    );
  }).timeout(120_000);

  it('leaves the editor open until Ctrl-C, and then nothing behind', async () => {
    start = await Start.run('--rows', '50', '--port', '0');
    await until(() => /The editor is open at http/.test(start.out), 'the editor is open', 90_000);
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(start.out)?.[0] ?? '';
    const page = await fetch(url);
    assert.match(await page.text(), /Node-RED/);
    start.interrupt();
    assert.equal(await start.exitCode(), 0, start.out + start.err);
    await assert.rejects(fetch(url));
    assert.deepEqual(await start.leftovers(), []);
  }).timeout(120_000);

  it('takes everything with it when it is killed', async () => {
    start = await Start.run('--once', '--rows', '20000');
    await until(() => /Loading 20,000 rows/.test(start.out), 'it loads', 90_000);
    start.kill();
    await until(async () => (await start.leftovers()).length === 0, 'nothing is left behind', 20_000);
  }).timeout(120_000);

  it('ends in good order when nobody reads on', async () => {
    start = await Start.run('--once', '--rows', '100');
    await until(() => start.out.includes('\n'), 'it has said something', 60_000);
    start.readNoMore();
    assert.equal(await start.exitCode(), 141, start.err);
    assert.equal(start.err, '');
    assert.deepEqual(await start.leftovers(), []);
  }).timeout(120_000);

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGHUP', 129],
    ['SIGTERM', 143],
  ] as const) {
    it(`leaves nothing behind when ${signal} comes while Node-RED starts`, async () => {
      start = await Start.run('--once', '--rows', '100');
      await until(() => start.out.includes('Starting Node-RED'), 'Node-RED starts', 60_000);
      start.interrupt(signal);
      assert.equal(await start.exitCode(), code, start.err);
      assert.deepEqual(await start.leftovers(), []);
    }).timeout(120_000);
  }

  it('compares counts when the org only counts', async () => {
    start = await Start.run('--once', '--json', '--sink', '--rows', '3000');
    assert.equal(await start.exitCode(), 0, start.out + start.err);
    const { succeeded, deadLettered, retried } = JSON.parse(start.lastLine);
    assert.deepEqual({ succeeded, deadLettered, retried }, { succeeded: 2970, deadLettered: 30, retried: 0 });
  }).timeout(120_000);

  describe('with a port that is taken', () => {
    let taken: Server;
    let port: number;
    before(async () => {
      taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      port = (taken.address() as { port: number }).port;
    });
    after(() => taken.close());

    it('says which one, and how to choose another', async () => {
      start = await Start.run('--port', String(port));
      assert.equal(await start.exitCode(), 1);
      assert.match(start.err, new RegExp(`Port ${port} is in use.*npm start -- --port ${port + 1}`));
      assert.deepEqual(await start.leftovers(), []);
    });
  });

  it('explains itself to who mistypes', async () => {
    start = await Start.run('--rows', 'many');
    assert.equal(await start.exitCode(), 2);
    assert.match(start.err, /--rows must be a whole number .* not many\.\n\nUsage: npm start/);
  });
});
