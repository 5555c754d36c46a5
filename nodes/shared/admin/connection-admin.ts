import { systemClock } from '../../../src/clock.ts';
import { DescribeApi, type FieldDescription, type ObjectSummary } from '../../../src/salesforce/describe.ts';
import { testConnection } from '../../../src/salesforce/limits.ts';
import type { SalesforceSession } from '../../../src/salesforce/session.ts';
import type { SfConnectionNode } from '../connections.ts';
import type { Red } from '../red.ts';
import { deployedNode, type Question, queryText, registerEndpoint, tooManyRequests } from './endpoint.ts';
import { RateLimit } from './rate-limit.ts';

/** An outage is for the load to wait out; a person at a form wants to know at once. */
const OUTAGE_MS = 2_000;

/** A login is sought for as long as an outage may last, for all who wait for it; a person who tests need not. */
const LOGIN_MS = 6_000;

/** Descriptions that are asked for anew cost calls of the org's day, and whoever may read may ask. */
const FRESH = { calls: 12, perMs: 60_000, atOnce: 2 };

const descriptions = new WeakMap<SalesforceSession, DescribeApi>();

/** What the forms ask about an org: once, from the module of `sf-connection`. */
export function registerConnectionAdmin(RED: Red): void {
  const sessionOf = (id: string) =>
    deployedNode<SfConnectionNode>(RED, id, 'sf-connection').connection.session;
  const freshLimit = new RateLimit(FRESH, systemClock);
  async function described<T>({ id, request }: Question, ask: (api: DescribeApi) => Promise<T>): Promise<T> {
    const api = describeApi(sessionOf(id));
    if (queryText(request, 'fresh') !== 'true') return ask(api);
    const end = freshLimit.begin(id);
    if (end === undefined) throw tooManyRequests();
    try {
      api.clear();
      return await ask(api);
    } finally {
      end();
    }
  }

  registerEndpoint(RED, {
    method: 'get',
    path: '/connection/:id/test',
    permission: 'write',
    bounds: { calls: 12, perMs: 60_000, atOnce: 2 },
    patienceMs: LOGIN_MS,
    answer: async ({ id, signal }) => {
      const session = sessionOf(id);
      const report = await testConnection(session, { signal, outageMs: OUTAGE_MS });
      return { ...report, apiVersion: session.apiVersion };
    },
  });
  registerEndpoint(RED, {
    method: 'get',
    path: '/connection/:id/objects',
    permission: 'read',
    bounds: { calls: 60, perMs: 60_000, atOnce: 4 },
    answer: async (question) => {
      const { signal } = question;
      const ask = (api: DescribeApi) => api.describeGlobal({ signal, outageMs: OUTAGE_MS });
      return (await described(question, ask)).map(objectForForm);
    },
  });
  registerEndpoint(RED, {
    method: 'get',
    path: '/connection/:id/fields',
    permission: 'read',
    bounds: { calls: 120, perMs: 60_000, atOnce: 4 },
    answer: async (question) => {
      const { request, signal } = question;
      const object = queryText(request, 'object');
      const ask = (api: DescribeApi) => api.describe(object, { signal, outageMs: OUTAGE_MS });
      return (await described(question, ask)).fields.map(fieldForForm);
    },
  });
}

function describeApi(session: SalesforceSession): DescribeApi {
  const api = descriptions.get(session) ?? new DescribeApi(session);
  descriptions.set(session, api);
  return api;
}

function objectForForm({ name, label, custom, createable, updateable, deletable }: ObjectSummary) {
  return { name, label, custom, createable, updateable, deletable };
}

/** The values of a picklist are not asked for by any form, and can be thousands. */
function fieldForForm(field: FieldDescription) {
  return {
    name: field.name,
    label: field.label,
    type: field.type,
    length: field.length,
    createable: field.createable,
    updateable: field.updateable,
    // Without a value the insert of a record fails.
    required: field.createable && !field.nillable && !field.defaultedOnCreate && field.type !== 'boolean',
    externalId: field.externalId || field.idLookup,
    referenceTo: field.referenceTo,
    relationshipName: field.relationshipName,
    help: field.inlineHelpText,
  };
}
