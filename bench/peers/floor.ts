import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { to } from 'pg-copy-streams';
import { request } from 'undici';
import { COPY, peer, type World } from './peer.ts';

/** As many of the seeded rows as surely fit a job of 100 MB. */
const ROWS_PER_JOB = 1_200_000;

interface Job {
  id: string;
  state: string;
  numberRecordsProcessed: number;
  numberRecordsFailed: number;
}

/** The least that a load can be: no row is looked at. */
await peer(async (world) => {
  const directory = await mkdtemp(join(tmpdir(), 'sf-bulk-bench-'));
  try {
    const jobs: Job[] = [];
    for (let from = 0; from < world.rows; from += ROWS_PER_JOB)
      jobs.push(await upload(world, directory, from));
    const loaded = { succeeded: 0, failed: 0 };
    for (const { id } of jobs) {
      const { numberRecordsProcessed, numberRecordsFailed } = await untilComplete(world, id);
      for (const kind of ['successfulResults', 'failedResults', 'unprocessedrecords'])
        await download(world, `${id}/${kind}`, join(directory, kind));
      loaded.succeeded += numberRecordsProcessed - numberRecordsFailed;
      loaded.failed += numberRecordsFailed;
    }
    return loaded;
  } finally {
    await rm(directory, { recursive: true });
  }
});

async function upload(world: World, directory: string, from: number): Promise<Job> {
  const file = join(directory, 'rows.csv');
  // The seeded ids have no gaps.
  const part = COPY.replace(' ORDER BY', ` AND id > ${from} AND id <= ${from + ROWS_PER_JOB} ORDER BY`);
  await pipeline(world.database.query(to(part)), createWriteStream(file));
  const job = await call<Job>(world, 'POST', '', {
    object: 'Contact',
    operation: 'insert',
    contentType: 'CSV',
  });
  const { body } = await request(urlOf(world, `/${job.id}/batches`), {
    method: 'PUT',
    headers: {
      ...authorization(world),
      'content-type': 'text/csv',
      'content-length': String((await stat(file)).size),
    },
    body: createReadStream(file),
  });
  await body.dump();
  return call<Job>(world, 'PATCH', `/${job.id}`, { state: 'UploadComplete' });
}

async function untilComplete(world: World, id: string): Promise<Job> {
  for (;;) {
    const job = await call<Job>(world, 'GET', `/${id}`);
    if (job.state === 'JobComplete') return job;
    await wait(world.pollMs);
  }
}

async function download(world: World, path: string, file: string): Promise<void> {
  const { body } = await request(urlOf(world, `/${path}`), { headers: authorization(world) });
  await pipeline(Readable.from(body), createWriteStream(file));
}

async function call<T>(
  world: World,
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  json?: object,
): Promise<T> {
  const { statusCode, body } = await request(urlOf(world, path), {
    method,
    headers: { ...authorization(world), 'content-type': 'application/json' },
    body: json === undefined ? null : JSON.stringify(json),
  });
  if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode} ${await body.text()}`);
  return (await body.json()) as T;
}

function urlOf({ salesforce }: World, path: string): string {
  return `${salesforce.instanceUrl}/services/data/v66.0/jobs/ingest${path}`;
}

function authorization({ salesforce }: World): Record<string, string> {
  return { authorization: `Bearer ${salesforce.accessToken}` };
}
