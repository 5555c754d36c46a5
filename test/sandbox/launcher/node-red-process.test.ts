import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeRedProcess } from '../../../sandbox/launcher/node-red-process.ts';
import { until } from '../../support/until.ts';

/** Code that runs in Node-RED's process before Node-RED. */
const HANGS = `require('node:fs').writeFileSync(process.env.PID_FILE, String(process.pid));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
const DIES = "console.error('No such luck.'); process.exit(3);";

describe('the Node-RED of npm start', () => {
  const { TMPDIR } = process.env;
  let folder: string;
  let preload: string;
  let pidFile: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'node-red-process-test-'));
    preload = join(folder, 'preload.cjs');
    pidFile = join(folder, 'pid');
    process.env.TMPDIR = folder;
  });
  afterEach(async () => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    await rm(folder, { recursive: true, force: true });
  });

  async function start(code: string, patience: { signal?: AbortSignal; patienceMs?: number } = {}) {
    await writeFile(preload, code);
    const env = { NODE_OPTIONS: `--require=${preload}`, PID_FILE: pidFile };
    return NodeRedProcess.start({ port: 0, env, ...patience });
  }

  async function assertNothingIsLeft(): Promise<void> {
    const left = await readdir(folder);
    assert.deepEqual(
      left.filter((name) => name.startsWith('sf-bulk-sandbox-')),
      [],
    );
    if (existsSync(pidFile)) {
      const pid = Number(await readFile(pidFile, 'utf8'));
      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    }
  }

  it('says what it printed last when it dies at its start', async () => {
    // Mocha lets these pass, and Node.js ends the program.
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      await assert.rejects(start(DIES), /Node-RED ended\. The last that it printed:\nNo such luck\./);
    } finally {
      process.off('unhandledRejection', note);
    }
    assert.deepEqual(unhandled, []);
    await assertNothingIsLeft();
  });

  it('is given up when it does not get there', async () => {
    await assert.rejects(start(HANGS, { patienceMs: 1000 }), /Node-RED did not start within 1 s\./);
    await assertNothingIsLeft();
  });

  it('is stopped by an interruption of its start', async () => {
    const interruption = new AbortController();
    const starting = start(HANGS, { signal: interruption.signal });
    const stopped = assert.rejects(starting, /Enough\./);
    await until(() => existsSync(pidFile), 'it hangs');
    interruption.abort(new Error('Enough.'));
    await stopped;
    await assertNothingIsLeft();
  });

  it('starts whatever the language and the Node-RED of the machine, and the editor speaks the browser’s', async () => {
    const foreign = {
      LC_ALL: 'de_DE.UTF-8',
      NODE_RED_ENABLE_SAFE_MODE: 'true',
      NODE_RED_ENABLE_PROJECTS: 'true',
    };
    const own = { ...process.env };
    Object.assign(process.env, foreign);
    let nodeRed: NodeRedProcess | undefined;
    try {
      nodeRed = await NodeRedProcess.start({ port: 0, env: {}, patienceMs: 30_000 });
      const catalogue = await fetch(new URL('locales/editor?lng=de', nodeRed.url));
      const { common } = (await catalogue.json()) as { common: { label: { done: string } } };
      assert.equal(common.label.done, 'Fertig');
      const settings = await fetch(new URL('settings', nodeRed.url));
      const { editorTheme } = (await settings.json()) as { editorTheme: { projects: { enabled: boolean } } };
      assert.equal(editorTheme.projects.enabled, false);
    } finally {
      for (const name of Object.keys(foreign)) delete process.env[name];
      Object.assign(process.env, own);
      await nodeRed?.stop();
    }
  });
});
