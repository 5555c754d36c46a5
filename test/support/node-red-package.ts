import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const REPOSITORY = resolve(import.meta.dirname, '../..');

/** `linked` and a folder are symlinked, so that what is built shows at once; `tarball` is what people install. */
export type PackageSource = 'linked' | 'tarball' | { folder: string };

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
}

/** Puts a package where a Node-RED user directory keeps them. Needs no network: dependencies are linked to our own. */
export async function installPackage(userDir: string, source: PackageSource): Promise<void> {
  if (source === 'tarball') {
    await unpackInto(userDir, await packedTarball());
    return;
  }
  const folder = source === 'linked' ? REPOSITORY : source.folder;
  const manifest = await readManifest(folder);
  await link(folder, join(userDir, 'node_modules', manifest.name));
}

let packing: Promise<string> | undefined;

/** The tarball of `npm pack` (which builds), made once in a run of the tests. */
export function packedTarball(): Promise<string> {
  packing ??= pack();
  return packing;
}

async function pack(): Promise<string> {
  const target = await mkdtemp(join(tmpdir(), 'sf-bulk-pack-'));
  process.once('exit', () => rmSync(target, { recursive: true, force: true }));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', target], {
    cwd: REPOSITORY,
    maxBuffer: 64 * 1024 * 1024,
  });
  return join(target, tarballName(stdout));
}

/** npm prints what `prepack` prints before its own JSON. */
function tarballName(stdout: string): string {
  const name = /"filename":\s*"([^"]+\.tgz)"/.exec(stdout)?.[1];
  if (name === undefined) throw new Error(`npm pack named no tarball: ${stdout.slice(-500)}`);
  return basename(name);
}

async function unpackInto(userDir: string, tarball: string): Promise<void> {
  const { name } = await readManifest(REPOSITORY);
  const folder = join(userDir, 'node_modules', name);
  await mkdir(folder, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', folder, '--strip-components', '1']);
  const manifest = await readManifest(folder);
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    await link(join(REPOSITORY, 'node_modules', dependency), join(folder, 'node_modules', dependency));
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
}

async function link(target: string, at: string): Promise<void> {
  await mkdir(dirname(at), { recursive: true });
  await symlink(target, at, 'dir');
}
