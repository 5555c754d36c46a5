import { randomBytes } from 'node:crypto';
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LoadError, reasonOf } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import { isDeadOwner, ownName } from './scratch-owner.ts';

/** A file of passing use. It exists from when somebody writes to `path`. */
export interface ScratchFile {
  path: string;
  /**
   * May be called more than once, and never rejects: what was in the file is where it belongs by now, or is not wanted any
   * more. A file that cannot be removed is a warning in the log, and goes with its directory.
   */
  remove(): Promise<void>;
}

export interface ScratchOptions {
  /** Below which the directories of all processes are; default in the system's directory for temporary files. */
  base?: string;
  log?: Logger;
}

const PACKAGE = 'node-red-contrib-salesforce-bulk';
/** Customer data: for the owner only. */
const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;

/**
 * Where files go that nobody misses after a crash: jobs on their way up, results on their way down. Everything is below one
 * directory per process, `<base>/<host>-<pid>-<start>/`, and goes with the process; what a process that died left behind
 * goes when the next one starts. Each Scratch has a directory of its own in there, so that closing one disturbs no other.
 */
export class Scratch {
  readonly directory: string;
  /** Go with the last who uses them. */
  readonly #shared: string[];
  readonly #log: Logger;
  readonly #onExit = (): void => this.#removeAtExit();
  #files = 0;

  private constructor(processDirectory: string, shared: string[], log: Logger) {
    this.#shared = shared;
    this.#log = log;
    this.directory = join(processDirectory, randomBytes(4).toString('hex'));
    process.once('exit', this.#onExit);
  }

  /**
   * Makes the directory, and removes those of processes that are no more.
   *
   * @throws LoadError CONFIG_INVALID when it cannot be made, or somebody else could reach into it
   */
  static async open({ base: given, log = silentLogger }: ScratchOptions = {}): Promise<Scratch> {
    const base = given ?? defaultBase();
    const processDirectory = join(base, ownName());
    await makeDirectory(base, processDirectory);
    await sweep(base, log);
    const shared = given === undefined ? [processDirectory, base] : [processDirectory];
    return new Scratch(processDirectory, shared, log);
  }

  /**
   * A path for a new file; `name` is part of it, for people who look into the directory. Write it with `FILE_MODE`. The
   * directory is made each time: systems clean their directories for temporary files of what was not used for days.
   *
   * @throws LoadError LOAD_BROKEN_OFF when the directory cannot be made
   */
  file(name: string): ScratchFile {
    this.#files += 1;
    try {
      mkdirSync(this.directory, { recursive: true, mode: DIRECTORY_MODE });
    } catch (error) {
      throw scratchError(error, this.directory);
    }
    const path = join(this.directory, `${this.#files}-${name.replace(/[^\w.-]/g, '_').slice(0, 100)}`);
    return { path, remove: () => this.#remove(path) };
  }

  /** Removes all files, and the directory with them. */
  async close(): Promise<void> {
    process.off('exit', this.#onExit);
    await rm(this.directory, { recursive: true, force: true });
    for (const directory of this.#shared) await rmdir(directory).catch(ignoreOthersAtWork);
  }

  async #remove(path: string): Promise<void> {
    await rm(path, { force: true }).catch((error) =>
      this.#log.warn(
        `${path} could not be removed (${reasonOf(error)}); it goes when Node-RED stops or the connection closes.`,
      ),
    );
  }

  #removeAtExit(): void {
    rmSync(this.directory, { recursive: true, force: true });
    try {
      for (const directory of this.#shared) rmdirSync(directory);
    } catch (error) {
      ignoreOthersAtWork(error);
    }
  }
}

/**
 * Files of one kind, of which only so many may exist at once. Whoever wants one more waits, first come first served, until
 * one is removed: this is how a slow upload holds the source back.
 */
export class ScratchFiles {
  readonly #scratch: Scratch;
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #existing = 0;

  constructor(scratch: Scratch, most: number) {
    this.#scratch = scratch;
    this.#most = most;
  }

  /** Waits for its turn. @throws the signal's reason when it is aborted before that */
  async file(name: string, signal?: AbortSignal): Promise<ScratchFile> {
    signal?.throwIfAborted();
    if (this.#existing < this.#most) this.#existing += 1;
    else await this.#turn(signal);
    const { path, remove } = this.#scratch.file(name);
    let isRemoved = false;
    return {
      path,
      remove: async () => {
        if (isRemoved) return;
        isRemoved = true;
        await remove().finally(() => this.#free());
      },
    };
  }

  /** The place of the file that is removed passes to the first who waits. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(onTurn), 1);
        reject(signal?.reason);
      };
      this.#waiting.push(onTurn);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #free(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#existing -= 1;
  }
}

/**
 * What a person needs to know about a failed write to scratch: LoadError LOAD_BROKEN_OFF. `needed`: bytes that all files of
 * this kind may take together, when that is known.
 */
export function scratchError(error: unknown, path: string, needed?: number): LoadError {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  const need = needed === undefined ? '' : ` They take up to ${Math.ceil(needed / 1_000_000)} MB there.`;
  const text = isFull
    ? `The disk at ${path} is full: no room for records on their way to or from Salesforce.${need} Free some space, or set ` +
      'TMPDIR to a larger disk and restart; then start the load again.'
    : `The file ${path} could not be written (${reasonOf(error)}). It holds records on their way to Salesforce: see that the ` +
      'disk works, then start the load again.';
  return new LoadError('LOAD_BROKEN_OFF', text, { cause: error });
}

/** One for each user, since what one user makes in a shared directory no other can write to. */
function defaultBase(): string {
  const user = process.getuid?.();
  return join(tmpdir(), user === undefined ? PACKAGE : `${PACKAGE}-${user}`);
}

async function makeDirectory(base: string, directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  } catch (error) {
    throw new LoadError(
      'CONFIG_INVALID',
      `The directory ${directory} for files on their way to Salesforce cannot be made (${reasonOf(error)}): set TMPDIR to a ` +
        'directory that Node-RED may write to, and restart.',
      { cause: error },
    );
  }
  for (const path of [base, directory]) await checkOwner(path);
}

/** In a directory that everyone may write to, somebody else may have made ours before us, or a link in its place. */
async function checkOwner(path: string): Promise<void> {
  const found = await lstat(path);
  const user = process.getuid?.() ?? found.uid;
  if (found.isDirectory() && (found.uid === user || found.uid === 0)) return;
  throw new LoadError(
    'CONFIG_INVALID',
    `The directory ${path} for files on their way to Salesforce is not this user's: remove it, or set TMPDIR to a directory ` +
      'of your own, and restart.',
  );
}

async function sweep(base: string, log: Logger): Promise<void> {
  const host = hostname();
  for (const name of await readdir(base)) {
    const path = join(base, name);
    try {
      if (await isDeadOwner(name, path, host)) await rm(path, { recursive: true, force: true });
    } catch (error) {
      log.warn(`${path}, left by a process that has ended, could not be removed: ${reasonOf(error)}`);
    }
  }
}

/** The process' directory stays while another Scratch of it is at work in there, or is gone already. */
function ignoreOthersAtWork(error: unknown): void {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(code)) throw error;
}
