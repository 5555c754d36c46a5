import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeRedProcess } from '../../../sandbox/launcher/node-red-process.ts';

/** Code that runs in Node-RED's process before Node-RED. */
const DIES = "console.error('No such luck.'); process.exit(3);";

describe('the Node-RED of npm start', () => {
  const { TMPDIR } = process.env;
  let folder: string;
  let preload: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'node-red-process-test-'));
    preload = join(folder, 'preload.cjs');
    process.env.TMPDIR = folder;
  });
  afterEach(async () => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    await rm(folder, { recursive: true, force: true });
  });

  async function start(code: string) {
    await writeFile(preload, code);
    const env = { NODE_OPTIONS: `--require=${preload}` };
    return NodeRedProcess.start({ port: 0, env });
  }

  async function assertNothingIsLeft(): Promise<void> {
    const left = await readdir(folder);
    assert.deepEqual(
      left.filter((name) => name.startsWith('sf-bulk-sandbox-')),
      [],
    );
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
});
