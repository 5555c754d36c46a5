import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { PackageSource } from './node-red-package.ts';

/** Node-RED's releases that we test with: `5` is `node-red`, `4` the alias `node-red-4`. */
export type NodeRedVersion = '4' | '5';

export interface StartOptions {
  version?: NodeRedVersion;
  /** Default: none. */
  packages?: PackageSource[];
  env?: Record<string, string>;
  /** Laid over our defaults; must survive JSON. */
  settings?: Record<string, unknown>;
  /** Arguments for Node.js itself, such as `--max-old-space-size=200`. */
  nodeArgs?: string[];
  /** Kept by the caller, for starting twice on the same one. Default: a new folder that `stop` removes. */
  userDir?: string;
  /** Default 0: any free one. */
  port?: number;
  /** Default 60 s. */
  startTimeoutMs?: number;
}

const require = createRequire(import.meta.url);
const LAUNCHERS: Record<NodeRedVersion, string> = { '5': 'node-red/red.js', '4': 'node-red-4/red.js' };
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function spawnNodeRed(userDir: string, options: StartOptions): ChildProcess {
  const launcher = require.resolve(LAUNCHERS[options.version ?? '5']);
  const port = String(options.port ?? 0);
  const args = [...(options.nodeArgs ?? []), launcher, '--userDir', userDir, '--port', port];
  const child = spawn(process.execPath, args, {
    cwd: userDir,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

export async function writeSettings(userDir: string, settings: Record<string, unknown>): Promise<void> {
  const { editorTheme, ...others } = settings;
  const all = {
    uiHost: '127.0.0.1',
    flowFile: 'flows.json',
    credentialSecret: 'a secret for tests',
    telemetry: { enabled: false, updateNotification: false },
    diagnostics: { enabled: false, ui: false },
    debugMaxLength: 10_000,
    editorTheme: { tours: false, projects: { enabled: false }, ...(editorTheme as object) },
    ...others,
  };
  // A Node-RED whose parent is gone sees its stdin end, and ends too.
  const text = `process.stdin.resume().once('end', () => process.exit());
module.exports = ${JSON.stringify(all, null, 2)};\n`;
  await writeFile(join(userDir, 'settings.js'), text);
}
