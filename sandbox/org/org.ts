import { generateKeyPairSync } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { AdminCalls } from './admin.ts';
import { Audit } from './audit.ts';
import { RowLocks } from './data/locks.ts';
import { MarkMemory } from './data/marks.ts';
import { Saver } from './data/save.ts';
import { type PlainRecord, Store } from './data/store.ts';
import { ownDirectory } from './directory.ts';
import { Faults } from './faults.ts';
import { Router } from './http/router.ts';
import { OrgServer } from './http/server.ts';
import { IngestCalls } from './ingest/calls.ts';
import { JobFaults } from './ingest/job-faults.ts';
import { Jobs } from './ingest/jobs.ts';
import { Processor } from './ingest/processor.ts';
import type { JsonObject } from './json.ts';
import { OrgModel } from './model/model.ts';
import { TokenEndpoint } from './oauth.ts';
import { type Credentials, type OrgOptions, settingsOf } from './options.ts';
import { seededRandom } from './random.ts';
import { draftOf } from './rest/record-body.ts';
import { addRoutes } from './routes.ts';
import { Sessions } from './sessions.ts';
import { seedSystemRecords } from './system-records.ts';

export type { KeyCounts, SeenRequest } from './audit.ts';
export type { PlainRecord } from './data/store.ts';
export type { Fault, FaultKind } from './faults.ts';
export type { JobFault, JobFaultKind } from './ingest/job-faults.ts';
export type { OrgOptions } from './options.ts';

/** A running org. */
export interface Org {
  url: string;
  port: number;
  /** What the org accepts; `privateKey` (PEM) signs assertions that it trusts. */
  credentials: Credentials & { privateKey: string };
  faults: Faults;
  jobFaults: JobFaults;
  audit: Audit;
  /** The schema: objects, fields and rules may be added at any time. */
  model: OrgModel;
  /** All live records of an object, with Id and system fields. */
  records(object: string): Iterable<PlainRecord>;
  /** Stores a record, past all rules but those of field types, and returns its id. */
  insert(object: string, fields: JsonObject): string;
  /** Ends every session: the next request of each client gets 401. */
  expireTokens(): void;
  /** The refresh token that is good now (they rotate with `rotateRefreshTokens`). */
  refreshToken(): string;
  /** Back to the start: no records, jobs, faults, audit. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a Salesforce org on a local port. */
export async function startOrg(options: OrgOptions = {}): Promise<Org> {
  const settings = settingsOf(options);
  const directory = await ownDirectory(settings.dataDir);
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });

  const model = new OrgModel();
  const sessions = new Sessions(settings);
  const store = new Store(model, sessions.userId);
  const marks = new MarkMemory();
  const saver = new Saver(store, marks, settings);
  const faults = new Faults(seededRandom(settings.seed));
  const jobFaults = new JobFaults();
  const jobs = new Jobs(settings, jobFaults, directory);
  const locks = new RowLocks(settings.lockFailureRate, settings.seed);
  const processor = new Processor({ settings, store, saver, locks, jobs, faults: jobFaults });
  const audit = new Audit(store, jobs, settings.auditRing);
  let url = '';
  const tokens = new TokenEndpoint({
    settings,
    sessions,
    publicKey: settings.jwtPublicKey ?? keys.publicKey,
    url: () => url,
  });
  const router = new Router(settings, sessions, audit);
  const ingest = new IngestCalls({
    settings,
    model,
    jobs,
    faults: jobFaults,
    processor,
    userId: sessions.userId,
  });
  addRoutes(router, { settings, sessions, tokens, store, saver, ingest, audit, jobs, url: () => url });

  const credentials = { ...settings.clients, privateKey: keys.privateKey };
  const insert = (objectName: string, fields: JsonObject): string => {
    const object = model.get(objectName);
    const draft = draftOf(store, object, fields, ['attributes']);
    const serial = store.table(object).insert(draft.fields, draft.values, settings.now());
    return store.idOf(object, serial);
  };
  const reset = async (): Promise<void> => {
    faults.clear();
    jobFaults.clear();
    await jobs.clear();
    store.clear();
    marks.clear();
    audit.clear();
    tokens.reset();
    seedSystemRecords(store, settings.now());
  };
  seedSystemRecords(store, settings.now());

  const admin = new AdminCalls({
    audit,
    faults,
    jobFaults,
    jobs,
    store,
    insert,
    credentials: () => ({ url, ...credentials }),
    expireTokens: () => sessions.expireAll(),
    reset,
  });
  const server = new OrgServer({ settings, faults, audit, handle: router.handle, admin: admin.handle });
  const port = await server.listen(settings.port);
  url = `${settings.tls ? 'https' : 'http'}://127.0.0.1:${port}`;

  return {
    url,
    port,
    credentials,
    faults,
    jobFaults,
    audit,
    model,
    *records(objectName) {
      const object = model.get(objectName);
      for (const serial of store.table(object).serials()) {
        yield store.toPlain(object, serial);
      }
    },
    insert,
    expireTokens: () => sessions.expireAll(),
    refreshToken: () => tokens.refreshToken,
    reset,
    async close() {
      await server.close();
      await processor.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
