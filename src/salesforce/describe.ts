import type { DescribeGlobalResult, DescribeSObjectResult } from 'jsforce/lib/types/common.js';
import { LoadError } from '../errors.ts';
import { orAborted } from '../time-limit.ts';
import { checkedApiName } from './api-name.ts';
import type { CallOptions } from './call.ts';
import { connectionThrough, type HttpRequest, type HttpResponse } from './jsforce-bridge.ts';
import { isRefusal } from './outcome.ts';
import type { SalesforceSession } from './session.ts';

export interface ObjectSummary {
  name: string;
  label: string;
  custom: boolean;
  createable: boolean;
  updateable: boolean;
  deletable: boolean;
  queryable: boolean;
}

export interface FieldDescription {
  name: string;
  label: string;
  type: string;
  length: number;
  precision: number;
  scale: number;
  nillable: boolean;
  createable: boolean;
  updateable: boolean;
  externalId: boolean;
  idLookup: boolean;
  unique: boolean;
  caseSensitive: boolean;
  defaultedOnCreate: boolean;
  calculated: boolean;
  referenceTo: string[];
  relationshipName: string | null;
  picklistValues: { value: string; label: string; active: boolean }[];
  restrictedPicklist: boolean;
  inlineHelpText: string | null;
}

export interface ObjectDescription extends ObjectSummary {
  fields: FieldDescription[];
}

const DEFAULT_LIFE_MS = 15 * 60_000;

/**
 * What the org's objects and fields are, as the session's user sees them. Trimmed to what a load and its forms need: the
 * whole description of a large object takes megabytes. One instance for a connection; answers are kept for `lifeMs`, and
 * asked for once however many ask at the same time: the first of them pays for the calls and says how long an outage is
 * waited out, and whoever leaves by his signal takes the answer from nobody.
 */
export class DescribeApi {
  readonly #session: SalesforceSession;
  readonly #lifeMs: number;
  readonly #kept = new Map<string, { until: number; answer: Promise<unknown> }>();

  constructor(session: SalesforceSession, options: { lifeMs?: number } = {}) {
    this.#session = session;
    this.#lifeMs = options.lifeMs ?? DEFAULT_LIFE_MS;
  }

  describeGlobal(options: CallOptions = {}): Promise<ObjectSummary[]> {
    return this.#keep('', options, async (shared) => {
      const connection = await this.#connection('The list of objects', shared);
      const { sobjects } = (await connection.describeGlobal()) as DescribeGlobalResult;
      return sobjects.map(summaryOf);
    });
  }

  /** CONFIG_INVALID, naming the object, when the org does not know it or the user may not see it. */
  describe(object: string, options: CallOptions = {}): Promise<ObjectDescription> {
    checkedApiName('object', object);
    return this.#keep(object.toLowerCase(), options, async (shared) => {
      const connection = await this.#connection(`The description of ${object}`, shared);
      try {
        return descriptionOf(await connection.describe(object));
      } catch (error) {
        throw unknownObjectOr(object, error);
      }
    });
  }

  /** Forgets what was kept, for example when a person asks for a fresh list. */
  clear(): void {
    this.#kept.clear();
  }

  #keep<T>(key: string, options: CallOptions, ask: (shared: CallOptions) => Promise<T>): Promise<T> {
    const { signal, ...shared } = options;
    const now = this.#session.clock.now();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > now) return orAborted(signal, kept.answer as Promise<T>);
    const answer = ask(shared);
    this.#kept.set(key, { until: now + this.#lifeMs, answer });
    answer.catch(() => {
      if (this.#kept.get(key)?.answer === answer) this.#kept.delete(key);
    });
    return orAborted(signal, answer);
  }

  /** Of no host: the session adds its own, and the token. */
  #connection(what: string, options: CallOptions) {
    return connectionThrough((request) => this.#send(what, request, options), {
      instanceUrl: 'https://org.invalid',
      version: this.#session.apiVersion,
    });
  }

  async #send(what: string, request: HttpRequest, options: CallOptions): Promise<HttpResponse> {
    const { pathname, search } = new URL(request.url);
    const answer = await this.#session.call(
      { what, method: 'GET', path: pathname + search, kind: 'safe' },
      options,
    );
    return { statusCode: answer.status, headers: answer.headers, body: JSON.stringify(answer.body ?? null) };
  }
}

function unknownObjectOr(object: string, error: unknown): unknown {
  if (!isRefusal(error) || error.status !== 404) return error;
  return new LoadError(
    'CONFIG_INVALID',
    `object ${object} is not known to this org, or the user of the connection may not see it`,
    { cause: error },
  );
}

function summaryOf(object: DescribeGlobalResult['sobjects'][number] | DescribeSObjectResult): ObjectSummary {
  const { name, label, custom, createable, updateable, deletable, queryable } = object;
  return { name, label, custom, createable, updateable, deletable, queryable };
}

function descriptionOf(object: DescribeSObjectResult): ObjectDescription {
  return { ...summaryOf(object), fields: object.fields.map(fieldOf) };
}

function fieldOf(field: DescribeSObjectResult['fields'][number]): FieldDescription {
  return {
    name: field.name,
    label: field.label,
    type: field.type,
    length: field.length ?? 0,
    precision: field.precision ?? 0,
    scale: field.scale ?? 0,
    nillable: field.nillable,
    createable: field.createable,
    updateable: field.updateable,
    externalId: field.externalId ?? false,
    idLookup: field.idLookup ?? false,
    unique: field.unique ?? false,
    caseSensitive: field.caseSensitive ?? false,
    defaultedOnCreate: field.defaultedOnCreate ?? false,
    calculated: field.calculated ?? false,
    referenceTo: [...(field.referenceTo ?? [])],
    relationshipName: field.relationshipName ?? null,
    picklistValues: (field.picklistValues ?? []).map(({ value, label, active }) => ({
      value,
      label: label ?? value,
      active,
    })),
    restrictedPicklist: field.restrictedPicklist ?? false,
    inlineHelpText: field.inlineHelpText ?? null,
  };
}
