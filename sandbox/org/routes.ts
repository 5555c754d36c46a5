import type { Audit } from './audit.ts';
import type { Saver } from './data/save.ts';
import type { Store } from './data/store.ts';
import { type Call, json, notFound, type Reply, restError } from './http/reply.ts';
import { API_VERSIONS, type Router } from './http/router.ts';
import type { IngestCalls } from './ingest/calls.ts';
import type { Jobs } from './ingest/jobs.ts';
import type { Json } from './json.ts';
import type { ObjectModel } from './model/types.ts';
import type { TokenEndpoint } from './oauth.ts';
import type { Settings } from './options.ts';
import { CollectionCalls } from './rest/collection-calls.ts';
import { describeBasic, describeGlobal, describeObject } from './rest/describe.ts';
import { limits } from './rest/limits.ts';
import { QueryCalls } from './rest/query-calls.ts';
import { SobjectCalls } from './rest/sobject-calls.ts';
import type { Sessions } from './sessions.ts';

interface Parts {
  settings: Settings;
  sessions: Sessions;
  tokens: TokenEndpoint;
  store: Store;
  saver: Saver;
  ingest: IngestCalls;
  audit: Audit;
  jobs: Jobs;
  url: () => string;
}

/** Every path that the org answers. */
export function addRoutes(router: Router, parts: Parts): void {
  addLogin(router, parts);
  addIngest(router, parts.ingest);
  addCollections(router, new CollectionCalls(parts));
  addDescribe(router, parts);
  addSobjects(router, new SobjectCalls(parts));
}

function addLogin(router: Router, { tokens, sessions, settings, url }: Parts): void {
  const user = (call: Call): Reply => {
    if (!sessions.use(call.headers.authorization)) {
      throw restError(403, 'Bad_OAuth_Token', 'Bad_OAuth_Token');
    }
    const { username } = settings.clients;
    const id = `${url()}/id/${sessions.orgId}/${sessions.userId}`;
    return json(200, {
      sub: id,
      id,
      user_id: sessions.userId,
      organization_id: sessions.orgId,
      username,
      preferred_username: username,
      display_name: 'Load User',
      nickname: 'load',
      name: 'Load User',
      email: username,
      email_verified: true,
      active: true,
      user_type: 'STANDARD',
      language: 'en_US',
      locale: 'en_US',
      urls: {
        rest: `${url()}/services/data/v{version}/`,
        sobjects: `${url()}/services/data/v{version}/sobjects/`,
        query: `${url()}/services/data/v{version}/query/`,
      },
    });
  };
  router.open('/services/oauth2/token', { POST: (call) => tokens.token(call) });
  router.open('/services/oauth2/revoke', { POST: () => json(200, {}) });
  router.open('/services/oauth2/userinfo', { GET: user, POST: user });
  router.open('/id/:org/:user', { GET: user, POST: user });
  router.open('/services/data', {
    GET: () =>
      json(
        200,
        API_VERSIONS.map((version) => ({
          label: `Release ${version}`,
          url: `/services/data/v${version}.0`,
          version: `${version}.0`,
        })),
      ),
  });
}

function addIngest(router: Router, ingest: IngestCalls): void {
  router.data('/jobs/ingest', {
    GET: (call) => ingest.list(call),
    POST: (call) => ingest.create(checked(call)),
  });
  router.data('/jobs/ingest/:id', {
    GET: (call) => ingest.info(call),
    PATCH: (call) => ingest.patch(call),
    DELETE: (call) => ingest.remove(call),
  });
  router.data('/jobs/ingest/:id/batches', { PUT: (call) => ingest.upload(call) });
  router.data('/jobs/ingest/:id/successfulResults', {
    GET: (call) => ingest.results(call, 'successfulResults'),
  });
  router.data('/jobs/ingest/:id/failedResults', { GET: (call) => ingest.results(call, 'failedResults') });
  router.data('/jobs/ingest/:id/unprocessedrecords', {
    GET: (call) => ingest.results(call, 'unprocessedrecords'),
  });
}

/** Bulk API 2.0 came with version 41. */
const INGEST_SINCE = 41;

function checked(call: Call): Call {
  if (Number(call.version) < INGEST_SINCE) {
    throw notFound();
  }
  return call;
}

function addCollections(router: Router, collections: CollectionCalls): void {
  router.data('/composite/sobjects', {
    POST: (call) => collections.create(call),
    PATCH: (call) => collections.update(call),
    DELETE: (call) => collections.remove(call),
  });
  router.data('/composite/sobjects/:object', {
    GET: (call) => collections.retrieveByQuery(call),
    POST: (call) => collections.retrieve(call),
  });
  router.data('/composite/sobjects/:object/:field', { PATCH: (call) => collections.upsert(call) });
}

/** What the org is and has: resources, describe, limits, query. */
function addDescribe(router: Router, { store, audit, settings, jobs }: Parts): void {
  const object = (call: Call): ObjectModel => {
    const found = store.model.find(call.params.object ?? '');
    if (!found) {
      throw restError(404, 'NOT_FOUND', 'The requested resource does not exist');
    }
    return found;
  };
  const queries = new QueryCalls(store);
  router.data('', { GET: (call) => json(200, resources(call.version)) });
  router.data('/limits', {
    GET: () =>
      json(
        200,
        limits({
          apiCalls: audit.apiCalls,
          apiBudget: settings.apiBudget,
          bulkBatches: jobs.batches(settings.batchRecords),
          records: store.size,
          storageLimit: settings.storageLimit,
        }),
      ),
  });
  router.data('/sobjects', { GET: (call) => json(200, describeGlobal(store.model, call.version)) });
  router.data('/sobjects/:object/describe', {
    GET: (call) => json(200, describeObject(store.model, object(call), call.version)),
  });
  router.data('/query', { GET: (call) => queries.query(call) });
  router.data('/queryAll', { GET: (call) => queries.query(call) });
  router.data('/query/:locator', { GET: (call) => queries.more(call) });
}

function resources(version: string): Json {
  const names = ['composite', 'jobs', 'limits', 'query', 'queryAll', 'sobjects'];
  return Object.fromEntries(names.map((name) => [name, `/services/data/v${version}/${name}`]));
}

function addSobjects(router: Router, sobjects: SobjectCalls): void {
  router.data('/sobjects/:object', {
    GET: (call) => json(200, describeBasic(sobjects.object(call), call.version)),
    POST: (call) => sobjects.create(call),
  });
  // An insert through the upsert route (reference §8).
  router.data('/sobjects/:object/Id', { POST: (call) => sobjects.create(call) });
  router.data('/sobjects/:object/:id', {
    GET: (call) => sobjects.get(call),
    PATCH: (call) => sobjects.update(call),
    DELETE: (call) => sobjects.remove(call),
  });
  router.data('/sobjects/:object/:field/:value', {
    GET: (call) => sobjects.getByKey(call),
    PATCH: (call) => sobjects.upsert(call),
    DELETE: (call) => sobjects.removeByKey(call),
  });
}
