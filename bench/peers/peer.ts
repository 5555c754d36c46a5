import pg from 'pg';
import { peakMemory } from '../memory.ts';

/** Both sides, logged in; `pollMs` between two looks at a job. */
export interface World {
  database: pg.Client;
  salesforce: { instanceUrl: string; accessToken: string };
  rows: number;
  pollMs: number;
}

export interface Loaded {
  succeeded: number;
  failed: number;
}

/** jsforce gives up polling after 30 s unless told otherwise, and deletes the job. */
export const POLL_TIMEOUT_MS = 3_600_000;

/** The rows that every peer loads, under the names of the fields. */
export const SELECT = `SELECT name AS "LastName", email AS "Email", phone AS "Phone", external_id AS "External_Id__c"
FROM pending_sf_sync WHERE sync_status = 'READY' ORDER BY id`;

/** The same as CSV; null as Salesforce writes it. */
export const COPY = `COPY (${SELECT}) TO STDOUT WITH (FORMAT csv, HEADER, NULL '#N/A')`;

/** Connects, loads, and prints what `run-peer.ts` reads; without the environment of a run only the modules are loaded. */
export async function peer(load: (world: World) => Promise<Loaded>): Promise<void> {
  const { BENCH_ROWS, BENCH_POLL_MS } = process.env;
  if (BENCH_ROWS === undefined) return;
  const database = new pg.Client();
  await database.connect();
  const salesforce = await logIn();
  const began = Date.now();
  const { succeeded, failed } = await load({
    database,
    salesforce,
    rows: Number(BENCH_ROWS),
    pollMs: Number(BENCH_POLL_MS),
  });
  const ended = Date.now();
  await database.end();
  console.log(JSON.stringify({ began, ended, peak: peakMemory('self'), succeeded, failed }));
}

async function logIn(): Promise<World['salesforce']> {
  const { SF_LOGIN_URL = '', SF_CLIENT_ID = '', SF_CLIENT_SECRET = '' } = process.env;
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: SF_CLIENT_ID,
    client_secret: SF_CLIENT_SECRET,
  });
  const answer = await fetch(`${SF_LOGIN_URL}/services/oauth2/token`, { method: 'POST', body });
  const { access_token = '', instance_url = '' } = (await answer.json()) as Record<string, string>;
  return { instanceUrl: instance_url, accessToken: access_token };
}
