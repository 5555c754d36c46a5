import type { RowFault } from '../data/faults.ts';
import type { Draft, Operation, Outcome, Saver } from '../data/save.ts';
import type { Store } from '../data/store.ts';
import { readJson } from '../http/body.ts';
import { type Call, empty, json, Refusal, type Reply, restError } from '../http/reply.ts';
import type { JsonObject } from '../json.ts';
import type { Field, ObjectModel } from '../model/types.ts';
import { assignedOwner } from './assignment.ts';
import { BadValue, draftOf } from './record-body.ts';

interface Parts {
  store: Store;
  saver: Saver;
}

/** From this version an upsert by external id always has a body with `created` (reference §8). */
const UPSERT_BODY_SINCE = 46;

/** Which records do not exist, as opposed to records that are refused. */
const ABSENT: readonly string[] = ['ENTITY_IS_DELETED', 'NOT_FOUND'];

/** Single records over REST (reference §8). */
export class SobjectCalls {
  readonly #store: Store;
  readonly #saver: Saver;

  constructor({ store, saver }: Parts) {
    this.#store = store;
    this.#saver = saver;
  }

  async create(call: Call): Promise<Reply> {
    const object = this.object(call);
    const body = await readJson(call);
    const saved = this.#save(call, object, 'insert', this.#draft(object, body, ['attributes']));
    return json(201, { id: saved.id, success: true, errors: [] });
  }

  async update(call: Call): Promise<Reply> {
    const object = this.object(call);
    const draft = this.#draft(object, await readJson(call), ['attributes']);
    this.#save(call, object, 'update', { ...draft, id: call.params.id ?? '' });
    return empty(204);
  }

  remove(call: Call): Reply {
    const object = this.object(call);
    this.#save(call, object, 'delete', { fields: [], values: [], faults: [], id: call.params.id ?? '' });
    return empty(204);
  }

  get(call: Call): Reply {
    const object = this.object(call);
    const located = this.#store.locate(object, call.params.id ?? '');
    if (!located?.table.exists(located.serial)) {
      throw located
        ? restError(404, 'ENTITY_IS_DELETED', 'entity is deleted')
        : restError(
            404,
            'NOT_FOUND',
            `Provided external ID field does not exist or is not accessible: ${call.params.id}`,
          );
    }
    return this.#record(call, object, located.serial);
  }

  getByKey(call: Call): Reply {
    const { object, field, value } = this.#key(call);
    const matches = this.#store.table(object).find(field, value);
    const [serial] = matches;
    if (serial === undefined) {
      throw notFoundRest();
    }
    return matches.length > 1 ? this.#choices(call, object, matches) : this.#record(call, object, serial);
  }

  /** PATCH by external id: 201 created, 200 updated, 300 when several records match. */
  async upsert(call: Call): Promise<Reply> {
    const { object, field, value } = this.#key(call);
    const body = await readJson(call);
    if (Object.keys(body).some((name) => name.toLowerCase() === field.name.toLowerCase())) {
      const message = `The ${field.name} field should not be specified in the sobject data.`;
      throw restError(400, 'INVALID_FIELD', message, [field.name]);
    }
    const matches = this.#store.table(object).find(field, value);
    if (matches.length > 1) {
      return this.#choices(call, object, matches);
    }
    const draft = this.#draft(object, body, ['attributes']);
    const keyed = {
      ...draft,
      fields: [...draft.fields, field],
      values: [...draft.values, value],
      key: value,
    };
    const saved = this.#save(call, object, 'upsert', keyed, field);
    if (Number(call.version) >= UPSERT_BODY_SINCE) {
      return json(saved.created ? 201 : 200, {
        id: saved.id,
        success: true,
        errors: [],
        created: saved.created,
      });
    }
    return saved.created ? json(201, { id: saved.id, success: true, errors: [] }) : empty(204);
  }

  removeByKey(call: Call): Reply {
    const { object, field, value } = this.#key(call);
    const matches = this.#store.table(object).find(field, value);
    if (matches.length > 1) {
      return this.#choices(call, object, matches);
    }
    const [serial] = matches;
    if (serial === undefined) {
      throw notFoundRest();
    }
    this.#save(call, object, 'delete', {
      fields: [],
      values: [],
      faults: [],
      id: this.#store.idOf(object, serial),
    });
    return empty(204);
  }

  /** The object of the path; an unknown one does not exist. */
  object(call: Call): ObjectModel {
    const object = this.#store.model.find(call.params.object ?? '');
    if (!object) {
      throw notFoundRest();
    }
    return object;
  }

  #key(call: Call): { object: ObjectModel; field: Field; value: string } {
    const object = this.object(call);
    const field = this.#store.model.findField(object, call.params.field ?? '');
    if (!field || !(field.externalId || field.idLookup)) {
      const message = `Provided external ID field does not exist or is not accessible: ${call.params.field}`;
      throw restError(404, 'NOT_FOUND', message);
    }
    return { object, field, value: call.params.value ?? '' };
  }

  #draft(object: ObjectModel, body: JsonObject, skipped: readonly string[]): Draft {
    if (object.writable === false) {
      const message = `entity type ${object.name} does not support this operation`;
      throw restError(400, 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY', message, []);
    }
    try {
      return draftOf(this.#store, object, body, skipped);
    } catch (error) {
      throw error instanceof BadValue ? restError(400, 'JSON_PARSER_ERROR', error.message) : error;
    }
  }

  #save(
    call: Call,
    object: ObjectModel,
    operation: Operation,
    draft: Draft,
    externalIdField?: Field,
  ): { id: string; created: boolean } {
    const ownerId = assignedOwner(object, call.headers['sforce-auto-assign']);
    const [outcome] = this.#saver.save({ api: 'single', object, operation, externalIdField, ownerId }, [
      draft,
    ]);
    if (!outcome || 'faults' in outcome) {
      throw refused(outcome);
    }
    return outcome.saved;
  }

  #record(call: Call, object: ObjectModel, serial: number): Reply {
    const plain = this.#store.toPlain(object, serial);
    const wanted = call.query.get('fields')?.split(',');
    const id = this.#store.idOf(object, serial);
    const attributes = {
      type: object.name,
      url: `/services/data/v${call.version}/sobjects/${object.name}/${id}`,
    };
    const chosen = wanted ? Object.fromEntries(wanted.map((name) => [name, plain[name] ?? null])) : plain;
    return json(200, { attributes, ...chosen });
  }

  #choices(call: Call, object: ObjectModel, serials: readonly number[]): Reply {
    const base = `/services/data/v${call.version}/sobjects/${object.name}`;
    return json(
      300,
      serials.map((serial) => `${base}/${this.#store.idOf(object, serial)}`),
    );
  }
}

const notFoundRest = (): Refusal => restError(404, 'NOT_FOUND', 'The requested resource does not exist');

function refused(outcome: Extract<Outcome, { faults: unknown }> | undefined): Refusal {
  const faults: readonly RowFault[] = outcome?.faults ?? [];
  const isAbsent = faults.some((fault) => ABSENT.includes(fault.code));
  // The one error that was recorded without `fields`: an unknown column.
  const body = faults.map(({ code, message, fields }) =>
    code === 'INVALID_FIELD' && message.startsWith('No such column')
      ? { message, errorCode: code }
      : { message, errorCode: code, fields },
  );
  return new Refusal(json(isAbsent ? 404 : 400, body));
}
