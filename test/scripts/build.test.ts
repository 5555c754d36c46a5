import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isStale } from '../../scripts/stale.ts';
import { REPOSITORY } from '../support/node-red-package.ts';
import { until } from '../support/until.ts';

const FILES = {
  'nodes/entry.ts': 'export const entry = 1;\n',
  'nodes/entry.html': '<p>form</p>\n',
  'nodes/locales/de/entry.json': '{}\n',
  'src/table.ts': 'export const table = 1;\n',
  'src/table.sql': 'SELECT 1;\n',
  'icons/icon.svg': '<svg/>\n',
};
const BUILT = [
  'nodes/entry.html',
  'nodes/entry.js',
  'nodes/icons/icon.svg',
  'nodes/locales/de/entry.json',
  'src/table.js',
  'src/table.sql',
];

describe('the build', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'build-test-'));
    for (const path of ['scripts', 'tsconfig.json', 'tsconfig.build.json', 'package.json'])
      await cp(join(REPOSITORY, path), join(root, path), { recursive: true });
    await symlink(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'), 'dir');
    for (const [path, text] of Object.entries(FILES)) await put(path, text);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function put(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }

  const build = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['scripts/build.ts', ...args], { cwd: root });
  const built = () =>
    globSync('**', { cwd: join(root, 'dist') })
      .filter((path) => /\.\w+$/.test(path))
      .sort();
  const identity = () => statSync(join(root, 'dist')).ino;

  it('has all, and leaves nothing else', async () => {
    assert.equal(isStale(root), true);
    await build();
    assert.deepEqual(built(), BUILT);
    assert.equal(isStale(root), false);
    assert.deepEqual(await readdir(join(root, '.sandbox')), []);
  });

  it('leaves no half of one when it breaks off', async () => {
    // The compiler puts the imported file beside the entry, where the copy of it is refused.
    await put('nodes/data.json', '{}');
    await put('nodes/entry.ts', "export { default } from './data.json' with { type: 'json' };\n");
    await assert.rejects(build(), /data\.json would be written twice/);
    assert.deepEqual(built(), []);
    assert.equal(isStale(root), true);
    assert.deepEqual(await readdir(join(root, '.sandbox')), []);
  });

  it('leaves the last one when the sources have an error', async () => {
    await build();
    await put('src/table.ts', 'export const table: string = 1;\n');
    await assert.rejects(build(), { code: 1, stdout: /src\/table\.ts/ });
    assert.deepEqual(built(), BUILT);
  });

  it('takes what is gone out of the next one', async () => {
    await build();
    await rm(join(root, 'nodes/entry.html'));
    await build();
    assert.equal(built().includes('nodes/entry.html'), false);
  });

  it('may be done several times at once', async () => {
    await Promise.all([build(), build(), build()]);
    assert.deepEqual(built(), BUILT);
    assert.deepEqual(await readdir(join(root, '.sandbox')), []);
  });

  it('leaves a fresh one where it is when it is asked to', async () => {
    await build();
    const first = identity();
    await build('--if-stale');
    assert.equal(identity(), first);
    await utimes(join(root, 'src/table.sql'), new Date(), new Date());
    await build('--if-stale');
    assert.notEqual(identity(), first);
  });

  it('leaves the one that another build has put there meanwhile when it is asked to', async () => {
    const building = build('--if-stale');
    await until(() => globSync('.sandbox/build-*', { cwd: root }).length > 0, 'it builds');
    await put('dist/of-another.js', '');
    await building;
    assert.deepEqual(built(), ['of-another.js']);
  });
});
