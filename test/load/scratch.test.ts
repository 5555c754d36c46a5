import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isLoadError, LoadError } from '../../src/errors.ts';
import { FILE_MODE, Scratch, ScratchFiles, scratchError } from '../../src/load/scratch.ts';
import { silentLogger } from '../../src/log.ts';

const MODULE = new URL('../../src/load/scratch.ts', import.meta.url).href;

describe('scratch', () => {
  let base: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'scratch-test-'));
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(base, { recursive: true, force: true });
  });

  /** A process of its own with a scratch file; `then` is what it does after it has said where. */
  async function processWithScratch(then: string): Promise<{ child: ChildProcess; path: string }> {
    const code = `
      import { writeFileSync } from 'node:fs';
      const { Scratch } = await import(${JSON.stringify(MODULE)});
      const scratch = await Scratch.open({ base: ${JSON.stringify(base)} });
      const file = scratch.file('rows.csv');
      writeFileSync(file.path, 'x');
      process.stdout.write(file.path);
      ${then}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [path] = await once(child.stdout as NodeJS.ReadableStream, 'data');
    return { child, path: String(path) };
  }

  /** The directory of the process that a scratch file belongs to. */
  const ownerOf = (path: string): string => dirname(dirname(path));

  it('makes files below one directory per process, for its user only', async () => {
    const scratch = await Scratch.open({ base });
    const other = await Scratch.open({ base });
    const file = scratch.file('Contact insert/1.csv');
    await writeFile(file.path, 'x', { mode: FILE_MODE });

    assert.deepEqual(readdirSync(base), [basename(ownerOf(file.path))]);
    assert.equal(ownerOf(other.file('a').path), ownerOf(file.path));
    assert.match(basename(file.path), /^1-Contact_insert_1\.csv$/);
    assert.equal((await stat(file.path)).mode & 0o777, 0o600);
    for (const path of [ownerOf(file.path), dirname(file.path)])
      assert.equal((await stat(path)).mode & 0o777, 0o700);
    assert.notEqual(scratch.file('a').path, scratch.file('a').path);

    await scratch.close();
    assert.ok(!existsSync(file.path));
    assert.ok(existsSync(ownerOf(other.file('b').path)));
    await other.close();
    assert.deepEqual(readdirSync(base), []);
  });

  it('removes a file, once or twice, and one that was never written', async () => {
    const scratch = await Scratch.open({ base });
    const file = scratch.file('a.csv');
    await file.remove();
    await writeFile(file.path, 'x');
    await file.remove();
    await file.remove();
    assert.ok(!existsSync(file.path));
    await scratch.close();
  });

  it('makes its directory again when the system has tidied it away', async () => {
    const scratch = await Scratch.open({ base });
    await rm(base, { recursive: true });
    await writeFile(scratch.file('a.csv').path, 'x');
    await scratch.close();
  });

  it('goes with its process', async () => {
    const { child, path } = await processWithScratch('process.exit(0);');
    if (child.exitCode === null) await once(child, 'exit');
    assert.equal(child.exitCode, 0);
    assert.ok(!existsSync(ownerOf(path)));
  });

  it('says of a file that it cannot remove that it is left, and removes it with the directory', async () => {
    const warnings: string[] = [];
    const log = { ...silentLogger, warn: (text: string) => warnings.push(text) };
    const scratch = await Scratch.open({ base, log });
    const file = scratch.file('a');
    // No rm without `recursive` removes this.
    await mkdir(file.path);
    await file.remove();
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0]?.startsWith(`${file.path} could not be removed`));
    await scratch.close();
    assert.equal(existsSync(file.path), false);
  });

  it('removes what a killed process left, and nothing of one that runs', async () => {
    const killed = await processWithScratch('setInterval(() => {}, 1000);');
    const running = await processWithScratch('setInterval(() => {}, 1000);');
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    assert.ok(existsSync(killed.path));

    const scratch = await Scratch.open({ base });
    assert.ok(!existsSync(ownerOf(killed.path)));
    assert.ok(existsSync(running.path));
    await scratch.close();
  });

  it('is not deceived by a pid that is used again', async () => {
    const running = await processWithScratch('setInterval(() => {}, 1000);');
    const own = await Scratch.open({ base });
    const earlier = [running.child.pid, process.pid].map((pid) => join(base, `${hostname()}-${pid}-1`));
    for (const path of earlier) await mkdir(path);

    const scratch = await Scratch.open({ base });
    for (const path of earlier) assert.ok(!existsSync(path), path);
    assert.ok(existsSync(running.path));
    await scratch.close();
    await own.close();
  });

  it('leaves directories of other hosts alone until no load can need them, and all that is not its own', async () => {
    const live = join(base, 'other-host-1-1');
    const busy = join(base, 'other-host-1-2');
    const abandoned = join(base, 'other-host-1-3');
    const foreign = join(base, 'something');
    const longAgo = new Date(Date.now() - 9 * 24 * 60 * 60 * 1000);
    for (const path of [live, busy, abandoned, foreign]) await mkdir(path);
    await mkdir(join(busy, 'a'));
    for (const path of [busy, abandoned, foreign]) await utimes(path, longAgo, longAgo);

    const scratch = await Scratch.open({ base });
    assert.deepEqual([live, busy, abandoned, foreign].map(existsSync), [true, true, false, true]);
    await scratch.close();
  });

  it('refuses a directory that somebody else could reach into', async () => {
    const target = join(base, 'target');
    await mkdir(target);
    await symlink(target, join(base, 'link'));
    await assert.rejects(
      Scratch.open({ base: join(base, 'link') }),
      (error) => isLoadError(error, 'CONFIG_INVALID') && /TMPDIR/.test(error.message),
    );
  });

  it('says that its directory cannot be made', async () => {
    await writeFile(join(base, 'file'), '');
    await assert.rejects(
      Scratch.open({ base: join(base, 'file', 'scratch') }),
      (error) => isLoadError(error, 'CONFIG_INVALID') && /cannot be made.*TMPDIR/.test(error.message),
    );
  });

  it('says what a full disk needs', async () => {
    const device = await open('/dev/full', 'w');
    try {
      const cause = await device.write('x').catch((error: unknown) => error);
      const error = scratchError(cause, '/data/scratch', 300_000_000);
      assert.ok(error instanceof LoadError);
      assert.equal(error.code, 'LOAD_BROKEN_OFF');
      assert.equal(error.cause, cause);
      assert.match(error.message, /disk at \/data\/scratch is full.* 300 MB .*TMPDIR/);
      assert.match(scratchError(new Error('EIO'), '/data/scratch').message, /could not be written \(EIO\)/);
    } finally {
      await device.close();
    }
  });
});

describe('scratch files of one kind', () => {
  let base: string;
  let scratch: Scratch;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'scratch-test-'));
    scratch = await Scratch.open({ base });
  });

  afterEach(async () => {
    await scratch.close();
    await rm(base, { recursive: true, force: true });
  });

  /** Whether a promise is settled once everything that can happen by itself has happened. */
  async function isSettled(promise: Promise<unknown>): Promise<boolean> {
    let settled = false;
    promise.then(
      () => (settled = true),
      () => (settled = true),
    );
    await new Promise((resolve) => setImmediate(resolve));
    return settled;
  }

  it('exist at most so many at once; who waits comes in turn', async () => {
    const files = new ScratchFiles(scratch, 2);
    const [first, second] = [await files.file('a'), await files.file('b')];
    const third = files.file('c');
    const fourth = files.file('d');
    assert.equal(await isSettled(third), false);

    await first.remove();
    await first.remove();
    await third;
    assert.equal(await isSettled(fourth), false);
    await second.remove();
    await fourth;
  });

  it('are not waited for any longer when told to stop', async () => {
    const files = new ScratchFiles(scratch, 1);
    const first = await files.file('a');
    const stop = new AbortController();
    const stopped = files.file('b', stop.signal);
    const next = files.file('c');
    stop.abort(new Error('stopped'));
    await assert.rejects(stopped, /stopped/);
    await assert.rejects(files.file('d', stop.signal), /stopped/);
    await first.remove();
    const file = await next;
    const after = files.file('e');
    assert.equal(await isSettled(after), false);
    await file.remove();
    await after;
  });

  it('do not lose a turn when somebody who has had his is told to stop', async () => {
    const files = new ScratchFiles(scratch, 1);
    const stop = new AbortController();
    const first = await files.file('a');
    const second = files.file('b', stop.signal);
    const third = files.file('c');
    await first.remove();
    const file = await second;
    stop.abort(new Error('stopped'));
    await file.remove();
    await third;
  });
});
