import { SYSTEM_FIELDS } from './fields.ts';
import { CAMPAIGN, CASE, INVOICE, LOAD_TEST, ORGANIZATION, PRODUCT, TASK, USER } from './other-objects.ts';
import { ACCOUNT, CONTACT, LEAD, OPPORTUNITY } from './sales-objects.ts';
import type { Field, ObjectModel } from './types.ts';

const STANDARD: readonly ObjectModel[] = [
  ACCOUNT,
  CAMPAIGN,
  CASE,
  CONTACT,
  INVOICE,
  LEAD,
  LOAD_TEST,
  OPPORTUNITY,
  ORGANIZATION,
  PRODUCT,
  TASK,
  USER,
];

/** The schema of one org: its own copy, so that a test that changes it disturbs no other. */
export class OrgModel {
  readonly #objects = new Map<string, ObjectModel>();
  readonly #fields = new Map<string, Map<string, Field>>();

  constructor() {
    for (const object of STANDARD) {
      this.add(structuredClone(object));
    }
  }

  /** Adds an object, or puts it in the place of the one with the same name. */
  add(object: ObjectModel): ObjectModel {
    this.#objects.set(object.name.toLowerCase(), object);
    this.#fields.delete(object.name);
    return object;
  }

  /** Adds fields to an object. */
  addFields(objectName: string, ...fields: Field[]): void {
    const object = this.get(objectName);
    object.fields.push(...fields);
    this.#fields.delete(object.name);
  }

  /** The object of this name, whatever its capitals. */
  find(name: string): ObjectModel | undefined {
    return this.#objects.get(name.toLowerCase());
  }

  get(name: string): ObjectModel {
    const object = this.find(name);
    if (!object) {
      throw new Error(`The org's model has no object ${name}.`);
    }
    return object;
  }

  all(): ObjectModel[] {
    return [...this.#objects.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  fieldsOf(object: ObjectModel): Field[] {
    return [...SYSTEM_FIELDS, ...object.fields];
  }

  /** The field of this name, whatever its capitals, as header matching is tolerant (reference §4). */
  findField(object: ObjectModel, name: string): Field | undefined {
    let byName = this.#fields.get(object.name);
    if (!byName || byName.size !== object.fields.length + SYSTEM_FIELDS.length) {
      byName = new Map(this.fieldsOf(object).map((field) => [field.name.toLowerCase(), field]));
      this.#fields.set(object.name, byName);
    }
    return byName.get(name.toLowerCase());
  }

  /** The look-up field behind a relationship name such as `Account` or `Parent__r`. */
  findRelationship(object: ObjectModel, name: string): Field | undefined {
    const wanted = name.toLowerCase();
    return this.fieldsOf(object).find((field) => field.relationshipName?.toLowerCase() === wanted);
  }

  /** The object whose records' ids begin with this prefix. */
  byKeyPrefix(prefix: string): ObjectModel | undefined {
    return this.all().find((object) => object.keyPrefix === prefix);
  }
}
